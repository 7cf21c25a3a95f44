"""Takes events in: an event that was acknowledged is stored exactly once, whatever dies."""
