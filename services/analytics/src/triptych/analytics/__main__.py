"""`python -m triptych.analytics` is the `analytics` command."""

from triptych.analytics.entrypoints.cli import main

main()
