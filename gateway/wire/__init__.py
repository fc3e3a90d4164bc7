"""Floor 2: sans-IO protocol cores, bytes to typed commands and back."""
