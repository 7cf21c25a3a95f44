"""The words that all three services speak: pure values, no I/O."""
