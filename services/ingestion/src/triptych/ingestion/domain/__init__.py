"""The rules: which events are let in. No I/O."""
