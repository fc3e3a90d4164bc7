"""LDAP servers: connections, requests and what their answers mean."""
