"""What a pipeline is, and how it becomes queries. No I/O."""
