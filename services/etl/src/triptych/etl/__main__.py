"""`python -m triptych.etl` is the `etl` command."""

from triptych.etl.entrypoints.cli import main

main()
