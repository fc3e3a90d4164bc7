"""How ``gateway doctor`` finds out why one person can or cannot log in, a step at a time."""
