"""The demo: `./triptych demo`."""
