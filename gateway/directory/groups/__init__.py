"""Groups of the directory: who is in one, and who may write to it or in its name."""
