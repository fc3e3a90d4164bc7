"""Ways to learn what has changed in a directory, a file each."""
