"""Floor 8: the only place that builds concrete objects."""
