"""Floor 1: frozen values, the error tree and the ports between the floors."""
