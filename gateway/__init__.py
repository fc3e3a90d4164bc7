"""A mail gateway in front of a company directory: SMTP, POP3, IMAP and the queue behind them."""
