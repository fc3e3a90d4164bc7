"""Floor 7: the doors, thin Twisted protocols that drive the cores in wire."""
