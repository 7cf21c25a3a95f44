"""Hinge 1: the log of accepted events. Ingestion appends to it exactly once, etl reads it in order."""
