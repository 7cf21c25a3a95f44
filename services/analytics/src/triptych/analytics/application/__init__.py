"""What the service does, and the ports it needs for it."""
