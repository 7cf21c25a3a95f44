"""Break what analytics reads from, and count what it answers."""
