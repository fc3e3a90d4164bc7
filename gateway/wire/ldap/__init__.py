"""LDAP (RFC 4511) without sockets: messages, filters and their octets."""
