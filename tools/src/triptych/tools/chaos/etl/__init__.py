"""Break etl, and count."""
