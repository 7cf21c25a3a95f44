"""The door for people: the `analytics` command."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import sqlalchemy as sa
import typer

from triptych.analytics.entrypoints import query_cli
from triptych.analytics.entrypoints.http import create_analytics
from triptych.analytics.settings import AnalyticsSettings
from triptych.analytics.wiring import SCHEMAS, migrated, opened, wire
from triptych.core.errors import exit_on_error
from triptych.core.logging import configure_logging
from triptych.database.schema import prepare
from triptych.service.keys_cli import keys_cli
from triptych.service.reloading import reloading
from triptych.service.server import serve as serve_http
from triptych.service.tracing import configure_tracing

cli = typer.Typer(
    name="analytics",
    help="Serve metrics from the lake's tables over HTTP.",
    epilog="Settings come from the environment: see `triptych config explain analytics`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@cli.command()
def serve() -> None:
    """Serve the dashboard, and answer at GET /v1/metrics, until SIGTERM or Ctrl-C."""
    settings = AnalyticsSettings.load()
    configure_logging(settings.log)
    configure_tracing("analytics", settings.traces.endpoint)
    with (
        wire(settings) as analytics,
        analytics.keys.kept_fresh(),
        reloading(
            analytics.metrics.reload,
            analytics.metrics.reload_if_changed,
            settings.metrics.reload_seconds,
        ),
    ):
        app, keys = create_analytics(analytics), analytics.keys.required
        serve_http(app, settings.analytics, section="analytics", keys=keys)


@cli.command()
def migrate(
    check: Annotated[
        bool,
        typer.Option("--check", help="Change nothing; exit with 1 if there is something to do."),
    ] = False,
) -> None:
    """Bring the tables of the database of keys to this release. Make a backup before."""
    settings = AnalyticsSettings.load()
    configure_logging(settings.log)
    migrated(settings, only_check=check)
    typer.echo("The tables are those of this release.")


@contextmanager
def _database() -> Iterator[sa.Engine]:
    settings = AnalyticsSettings.load()
    configure_logging(settings.log)
    with opened(settings) as access:
        prepare(access, SCHEMAS)
        yield access


cli.command()(query_cli.check)
cli.command()(query_cli.query)
cli.add_typer(keys_cli("analytics", _database), name="keys")


def main() -> None:
    """Run the command line; foreseen errors are one message and an exit code."""
    with exit_on_error("analytics"):
        cli()
