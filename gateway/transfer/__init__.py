"""Floor 5: mailboxes that move in from another server, and out to files."""
