"""Floor 5: one attempt to one destination, with an outcome per recipient."""
