"""`python -m triptych.ingestion` is the `ingestion` command."""

from triptych.ingestion.entrypoints.cli import main

main()
