"""Floor 4: SASL exchanges, the twisted.cred checkers and the realm."""
