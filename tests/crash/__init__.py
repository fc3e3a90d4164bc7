"""What is acknowledged survives: the real process, killed at any moment."""
