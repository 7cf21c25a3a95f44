"""`etl diff`, `etl vacuum`, `etl quarantine`: look after the lake's tables."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from triptych.etl.application.comparison import compare
from triptych.etl.entrypoints.opening import opened, pipeline_at
from triptych.etl.entrypoints.shown import rows, table
from triptych.etl.infrastructure.quarantine import faults, rows_at_fault

quarantine_cli = typer.Typer(help="The rows that were set aside.", no_args_is_help=True)

Pipeline = Annotated[Path, typer.Argument(help="The pipeline's YAML file.")]
Rows = Annotated[int, typer.Option("--rows", min=1, help="How many rows to show.")]


def diff(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="A table of the lake.")],
    before: Annotated[int, typer.Option("--from", help="A version.")],
    after: Annotated[int | None, typer.Option("--to", help="A later version; the newest.")] = None,
    some: Rows = 10,
) -> None:
    """Tell what differs between two versions of a table."""
    with opened() as etl:
        there = etl.resources.lake.table(name)
        old, new = there.snapshot(before), there.snapshot(after)
        found = compare(etl.engines, old, new, some)
        typer.echo(
            f"{name}: {found.added:,} rows added, {found.removed:,} rows removed"
            f" from version {old.version} to {new.version}"
        )
        for what, columns in (("added", found.columns_added), ("removed", found.columns_removed)):
            if columns:
                typer.echo(f"columns {what}: {', '.join(columns)}")
        if found.added:
            rows(found.some_added, "added")
        if found.removed:
            rows(found.some_removed, "removed")


def vacuum(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="TABLE…", help="Tables; all if left out.")
    ] = None,
    keep: Annotated[
        int, typer.Option(min=1, help="How many of the newest versions stay readable.")
    ] = 100,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
) -> None:
    """Remove files that none of a table's newest versions needs."""
    with opened() as etl:
        lake = etl.resources.lake
        for name in names or lake.names():
            gone = lake.table(name).vacuum(keep, datetime.now(UTC), dry_run=dry_run)
            would = "would be " if dry_run else ""
            typer.echo(f"{name}: {gone.files:,} files ({gone.bytes:,} bytes) {would}removed")


@quarantine_cli.command(name="list")
def list_faults(pipeline: Pipeline) -> None:
    """Count a pipeline's quarantined rows by step and reasons."""
    with opened() as etl:
        found = faults(etl.resources.lake, etl.engines, pipeline_at(pipeline))
        table(("rows", "step", "reasons"), found)


@quarantine_cli.command()
def show(pipeline: Pipeline, some: Rows = 10) -> None:
    """Show a pipeline's quarantined rows, as they were read."""
    with opened() as etl:
        rows(rows_at_fault(etl.resources.lake, etl.engines, pipeline_at(pipeline), some))


@quarantine_cli.command()
def replay(pipeline: Pipeline) -> None:
    """Let a pipeline's quarantined rows come again: those that pass now leave the quarantine."""
    ready = pipeline_at(pipeline)
    with opened() as etl:
        reports = etl.replay(ready)
    for report in reports:
        typer.echo(str(report))
    if not reports:
        typer.echo(f"{ready.name}: nothing to replay")
