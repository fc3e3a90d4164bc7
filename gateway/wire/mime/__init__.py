"""The bounded MIME scanner and what is computed once per message from it."""
