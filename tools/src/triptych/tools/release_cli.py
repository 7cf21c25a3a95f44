"""The door to `release`."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from triptych.tools.release import Release, planned, write
from triptych.tools.repository import ROOT


def release(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would be.")] = False,
) -> None:
    """Move the version of all packages as the changelog asks for, since the last tag."""
    found = planned(ROOT)
    Console().print(_table(found))
    news = ", ".join(f"{number} {heading.lower()}" for heading, number in found.news.items())
    typer.echo(f"{news} since {found.since}: {found.before} becomes {found.after}.")
    if dry_run:
        return
    for file in write(ROOT, found, datetime.now(UTC).date()):
        typer.echo(f"wrote {file.relative_to(ROOT)}")
    typer.echo(f"Next: ./triptych lock, commit, and tag it v{found.after}.")


def _table(found: Release) -> Table:
    table = Table("package", "before", "after", "why", box=None, padding=(0, 2, 0, 0))
    for name, files in found.changed.items():
        table.add_row(name, str(found.before), str(found.after), f"{files} files changed")
    for name, others in found.needing.items():
        table.add_row(name, str(found.before), str(found.after), f"needs {', '.join(others)}")
    return table
