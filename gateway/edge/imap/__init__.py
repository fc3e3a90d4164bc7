"""The IMAP door: a file per command group and one registry."""
