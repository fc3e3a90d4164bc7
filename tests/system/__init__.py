"""Real sockets, servers and clients: the gateway as a user would start and use it."""
