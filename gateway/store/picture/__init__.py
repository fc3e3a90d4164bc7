"""The picture of the directory in a SQLite file of its own, which may be lost."""
