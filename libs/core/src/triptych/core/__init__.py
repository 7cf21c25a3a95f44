"""What every Triptych service shares, and nothing of any framework."""
