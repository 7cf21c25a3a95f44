"""Serves metrics from the tables over HTTP."""
