"""The settings: one frozen model per section, and their loading with all mistakes at once."""
