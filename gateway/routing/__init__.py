"""Floor 4: an address to a destination."""
