"""Floor 3: the people the directory knows, by LDAP or from an LDIF file."""
