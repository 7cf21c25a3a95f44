"""The door for people: `analytics serve`."""

import typer

from triptych.analytics.entrypoints.http import create_analytics
from triptych.analytics.settings import AnalyticsSettings
from triptych.analytics.wiring import wire
from triptych.core.errors import exit_on_error
from triptych.core.logging import configure_logging
from triptych.service.server import serve as serve_http

cli = typer.Typer(
    name="analytics",
    help="Serve metrics from the lake's tables over HTTP.",
    epilog="Settings come from the environment: see `triptych config explain analytics`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@cli.callback()
def analytics() -> None:
    """Serve metrics from the lake's tables over HTTP."""


@cli.command()
def serve() -> None:
    """Answer at GET /v1/metrics, until SIGTERM or Ctrl-C."""
    settings = AnalyticsSettings.load()
    configure_logging(settings.log)
    with wire(settings) as service:
        serve_http(create_analytics(service), settings.analytics, section="analytics")


def main() -> None:
    """Run the command line; foreseen errors are one message and an exit code."""
    with exit_on_error("analytics"):
        cli()
