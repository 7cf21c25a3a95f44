"""How fast it is: measured beside common practice, the bare chassis and the bare database."""
