"""`etl runs`: what runs did."""

from typing import Annotated

import typer

from triptych.core.errors import Kind, TriptychError
from triptych.etl.entrypoints.opening import opened
from triptych.etl.entrypoints.shown import table

cli = typer.Typer(help="What runs did.", no_args_is_help=True)


class NoSuchRun(TriptychError):
    """There was no such run."""

    kind = Kind.NOT_FOUND
    hint = "List them with: etl runs list."


@cli.command(name="list")
def list_runs(
    pipeline: Annotated[
        str | None, typer.Option(help="Those of one pipeline, by its name.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 20,
) -> None:
    """List the newest runs."""
    with opened() as etl:
        found = etl.runs.newest(limit, pipeline)
    rows = (
        (
            run.id,
            run.pipeline,
            run.status.value,
            run.started_at.isoformat(timespec="seconds"),
            f"{(run.ended_at - run.started_at).total_seconds():.1f} s" if run.ended_at else "",
            run.error or "; ".join(run.outputs),
        )
        for run in found
    )
    table(("run", "pipeline", "status", "started", "took", "what it did"), rows)


@cli.command()
def show(run_id: Annotated[str, typer.Argument(metavar="RUN", help="A run's id.")]) -> None:
    """Show all that is known of a run."""
    with opened() as etl:
        found = etl.runs.find(run_id)
    if found is None:
        raise NoSuchRun(repr(run_id))
    typer.echo(f"{found.pipeline}, run {found.id}: {found.status.value}")
    typer.echo(f"started {found.started_at.isoformat()}")
    if found.ended_at:
        typer.echo(f"ended   {found.ended_at.isoformat()}")
    for output in found.outputs:
        typer.echo(output)
    if found.error:
        typer.echo(f"error: {found.error}")
