"""The door for people: the `ingestion` command."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
import typer

from triptych.core.errors import exit_on_error
from triptych.core.logging import configure_logging
from triptych.ingestion.entrypoints.contracts_cli import contracts_cli
from triptych.ingestion.entrypoints.http import create_ingestion
from triptych.ingestion.entrypoints.load_cli import load
from triptych.ingestion.entrypoints.store_cli import migrate, prune
from triptych.ingestion.settings import IngestionSettings
from triptych.ingestion.wiring import opened, wire
from triptych.service.keys_cli import keys_cli
from triptych.service.reloading import reloading
from triptych.service.server import serve as serve_http
from triptych.service.tracing import configure_tracing

cli = typer.Typer(
    name="ingestion",
    help="Take events in, over HTTP or from files: validate them, store each exactly once.",
    epilog="Settings come from the environment: see `triptych config explain ingestion`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@cli.command()
def serve() -> None:
    """Listen for events at POST /v1/events, until SIGTERM or Ctrl-C."""
    settings = IngestionSettings.load()
    configure_logging(settings.log)
    configure_tracing("ingestion", settings.traces.endpoint)
    with (
        wire(settings) as ingestion,
        ingestion.keys.kept_fresh(),
        reloading(
            ingestion.contracts.reload,
            ingestion.contracts.reload_if_changed,
            settings.contracts.reload_seconds,
        ),
    ):
        app = create_ingestion(ingestion)
        keys = ingestion.keys.required
        serve_http(app, settings.ingestion, section="ingestion", keys=keys)


@contextmanager
def _database() -> Iterator[sa.Engine]:
    settings = IngestionSettings.load()
    configure_logging(settings.log)
    with opened(settings) as store:
        store.prepare()
        yield store.engine


cli.command()(load)
cli.command()(migrate)
cli.command()(prune)
cli.add_typer(contracts_cli, name="contracts")
cli.add_typer(keys_cli("ingestion", _database), name="keys")


def main() -> None:
    """Run the command line; foreseen errors are one message and an exit code."""
    with exit_on_error("ingestion"):
        cli()
