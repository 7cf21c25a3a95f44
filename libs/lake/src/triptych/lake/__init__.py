"""Hinge 2: named, versioned tables. Etl commits to them atomically, analytics reads a version."""
