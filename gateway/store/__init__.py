"""Floor 3: mailboxes, messages, blobs, the queue's tables, the change feed and search."""
