"""Turns events into tables: a pipeline is a YAML file, everything in it is a plugin."""
