"""`python -m triptych.tools` is the `triptych` command."""

from triptych.tools.cli import main

main()
