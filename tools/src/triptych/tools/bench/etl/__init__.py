"""Measure etl beside other ways to do the same work."""
