"""What a metric is, what can be asked of it, and the answer. No I/O."""
