"""The search index: which words are in which messages; a file per account, made behind the mail."""
