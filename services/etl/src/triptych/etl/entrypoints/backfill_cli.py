"""`etl backfill`: compute days again."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from triptych.core.errors import Kind, TriptychError
from triptych.etl.application.backfill import Done, days_between
from triptych.etl.entrypoints.opening import opened, pipeline_at


class WrongDays(TriptychError):
    """The days end before they begin."""

    kind = Kind.INVALID
    hint = "Give --from a day that is before that of --to."


def backfill(
    path: Annotated[Path, typer.Argument(metavar="PIPELINE", help="The pipeline's YAML file.")],
    first: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day (UTC).")
    ],
    end: Annotated[
        datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The day after the last one.")
    ],
    parallel: Annotated[
        int, typer.Option(min=1, max=64, help="How many slices of the days at once.")
    ] = 1,
) -> None:
    """Compute days of a pipeline's tables again, each in one commit. It goes on where it stopped."""
    days = days_between(first.date(), end.date())
    if not days:
        raise WrongDays(f"{first:%Y-%m-%d} to {end:%Y-%m-%d}")
    pipeline = pipeline_at(path)

    def told(done: Done) -> None:
        target = pipeline.sinks[done.output].target
        typer.echo(f"{target} {done.day}: {done.rows:,} rows -> version {done.version}")

    with opened() as etl:
        etl.backfill(pipeline, days, parallel, told)
