"""The SMTP doors: relay, submission and LMTP; thin protocols that drive the core in ``wire``."""
