"""The door for people: the `analytics` command."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
import typer

from triptych.analytics.entrypoints import query_cli
from triptych.analytics.entrypoints.http import create_analytics
from triptych.analytics.settings import AnalyticsSettings
from triptych.analytics.wiring import SCHEMAS, access_of, wire
from triptych.core.errors import exit_on_error
from triptych.core.logging import configure_logging
from triptych.database.schema import prepare
from triptych.service.keys_cli import keys_cli
from triptych.service.migrate_cli import migrate_command
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


@contextmanager
def _access() -> Iterator[sa.Engine]:
    settings = AnalyticsSettings.load()
    configure_logging(settings.log)
    with access_of(settings) as access:
        yield access


@contextmanager
def _keys() -> Iterator[sa.Engine]:
    with _access() as access:
        prepare(access, SCHEMAS)
        yield access


cli.command()(query_cli.check)
cli.command()(query_cli.query)
cli.command("migrate")(migrate_command(_access, SCHEMAS))
cli.add_typer(keys_cli("analytics", _keys), name="keys")


def main() -> None:
    """Run the command line; foreseen errors are one message and an exit code."""
    with exit_on_error("analytics"):
        cli()
