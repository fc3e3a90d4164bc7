"""The picture of a directory: kept on disk, kept fresh, and asked before the servers are."""
