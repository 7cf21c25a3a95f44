"""The door for operators of the database: `ingestion migrate` and `ingestion prune`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from triptych.core.durations import parse_duration
from triptych.core.logging import configure_logging
from triptych.ingestion.settings import IngestionSettings
from triptych.ingestion.wiring import opened


def migrate(
    check: Annotated[
        bool,
        typer.Option("--check", help="Change nothing; exit with 1 if there is something to do."),
    ] = False,
) -> None:
    """Bring the database's tables to this release, in one transaction. Make a backup before."""
    settings = IngestionSettings.load()
    configure_logging(settings.log)
    with opened(settings) as store:
        if not check:
            store.migrate()
        store.check()
    typer.echo("The tables are those of this release.")


def prune(
    older_than: Annotated[str, typer.Option(help="Such as 90d, 12h or 30m.", show_default=False)],
) -> None:
    """Forget events and rejections of before. What is forgotten is no duplicate when it comes again."""
    settings = IngestionSettings.load()
    configure_logging(settings.log)
    age = parse_duration(older_than)
    with opened(settings) as store:
        store.check()
        events, rejections = store.prune(age, datetime.now(UTC))
    typer.echo(f"{events:,} events and {rejections:,} rejections forgotten.")
