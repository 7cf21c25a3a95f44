"""The door for people: the `analytics` command."""

import typer

from triptych.analytics.entrypoints.http import create_analytics
from triptych.analytics.entrypoints.query_cli import check, query
from triptych.analytics.settings import AnalyticsSettings
from triptych.analytics.wiring import wire
from triptych.core.errors import exit_on_error
from triptych.core.logging import configure_logging
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
        reloading(
            analytics.metrics.reload,
            analytics.metrics.reload_if_changed,
            settings.metrics.reload_seconds,
        ),
    ):
        serve_http(create_analytics(analytics), settings.analytics, section="analytics")


cli.command()(check)
cli.command()(query)


def main() -> None:
    """Run the command line; foreseen errors are one message and an exit code."""
    with exit_on_error("analytics"):
        cli()
