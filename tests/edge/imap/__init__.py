"""The IMAP door in dialogues."""
