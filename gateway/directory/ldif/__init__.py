"""People and groups from an LDIF file."""
