"""What `./triptych bench analytics` measures."""
