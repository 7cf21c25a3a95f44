"""For authors of plugins: run a plugin over rows, and see if it keeps what plugins promise."""
