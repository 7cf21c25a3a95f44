"""Records from files: opened, unpacked, and taken apart."""
