"""Floor 8: the administrator's command, a file per noun."""
