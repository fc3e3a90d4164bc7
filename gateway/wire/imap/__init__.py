"""IMAP on the wire: tokeniser, commands, sets, names and rendered replies."""
