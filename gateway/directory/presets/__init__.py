"""What kinds of directories call what the gateway wants to know: a file per kind, and the table."""
