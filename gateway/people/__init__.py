"""Floor 4: people who leave and move, what is noted of them, and what becomes of their mail."""
