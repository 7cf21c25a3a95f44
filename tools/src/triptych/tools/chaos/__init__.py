"""What happens when things break: each scenario says what it promised and what it counted."""
