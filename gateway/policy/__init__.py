"""Floor 6: the guards at the door, each verdict with its reason."""
