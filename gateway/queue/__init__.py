"""Floor 6: accept durably, decide when, retry, bounce."""
