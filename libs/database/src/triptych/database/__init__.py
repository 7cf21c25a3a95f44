"""A service's own database: opened with guarantees, in transactions that report what goes wrong, with versioned tables."""
