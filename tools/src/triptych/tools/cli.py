"""The `triptych` command."""

import os
from enum import StrEnum, auto
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from triptych.analytics.settings import AnalyticsSettings
from triptych.core.config import Settings, explain
from triptych.core.errors import exit_on_error
from triptych.etl.settings import EtlSettings
from triptych.ingestion.settings import IngestionSettings
from triptych.tools import checks, containers, drawing, locks, reuse, workspace
from triptych.tools.affected_cli import show_affected
from triptych.tools.bench.cli import cli as bench
from triptych.tools.chaos.cli import cli as chaos
from triptych.tools.demo.walk import demo as run_demo
from triptych.tools.pants import pants
from triptych.tools.release_cli import release
from triptych.tools.repository import ROOT, install_everything, show, tool
from triptych.tools.sbom import bill
from triptych.tools.spark import SPARK_TESTS, spark_server

cli = typer.Typer(
    name="triptych",
    help="Work on Triptych: try it, test it, check it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config = typer.Typer(help="What can be set.", no_args_is_help=True)
cli.add_typer(config, name="config")
cli.add_typer(bench, name="bench")
cli.add_typer(chaos, name="chaos")
cli.command("affected")(show_affected)
cli.command()(release)


class ServiceName(StrEnum):
    """A service that has settings."""

    INGESTION = auto()
    ETL = auto()
    ANALYTICS = auto()


SETTINGS: dict[ServiceName, type[Settings]] = {
    ServiceName.INGESTION: IngestionSettings,
    ServiceName.ETL: EtlSettings,
    ServiceName.ANALYTICS: AnalyticsSettings,
}


@cli.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End when the metrics are shown.")] = False,
    in_containers: Annotated[
        bool,
        typer.Option("--containers", help="With images, PostgreSQL, Valkey and S3: needs Docker."),
    ] = False,
) -> None:
    """Send a shop's events in, turn them into tables, ask for metrics; then keep serving."""
    run_demo(keep=not once, containers=in_containers)


@cli.command("test", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run_tests(
    context: typer.Context,
    fast: Annotated[bool, typer.Option("--fast", help="Leave out the slow tests.")] = False,
    coverage: Annotated[bool, typer.Option("--coverage", help="Measure coverage.")] = False,
    spark: Annotated[bool, typer.Option("--spark", help="Test the engines on real Spark.")] = False,
) -> None:
    """Run the tests, in parallel: all of them, or those in the paths that follow.

    Whatever else follows goes to pytest: ./triptych test services/etl -k quarantine
    """
    install_everything()
    if spark:
        with spark_server() as url:
            os.environ["TRIPTYCH_TEST_SPARK_URL"] = url
            options = ["-n", "0", "--timeout", "600", "-k", "not duckdb", *context.args]
            raise typer.Exit(0 if show([tool("pytest"), *SPARK_TESTS, *options]) else 1)
    chosen = [*(["-m", "not slow"] if fast else []), *(["--cov"] if coverage else [])]
    passed = show([tool("pytest"), "-n", "auto", *chosen, *context.args])
    raise typer.Exit(0 if passed else 1)


@cli.command()
def check() -> None:
    """Check everything that can be known without running a test."""
    install_everything()
    failed = checks.run(checks.checks())
    if failed:
        typer.secho(f"failed: {', '.join(failed)}", fg="red", err=True)
        raise typer.Exit(1)
    typer.secho("all checks passed", fg="green", err=True)


@cli.command("format")
def format_code() -> None:
    """Format the code, sort its imports and mend what can be mended."""
    install_everything()
    mended = show([tool("ruff"), "check", "--fix", "--show-fixes", "."])
    formatted = show([tool("black"), "--quiet", "."])
    raise typer.Exit(0 if mended and formatted else 1)


@cli.command()
def lock() -> None:
    """Bring uv.lock, and what Pants reads, into step with what the packages declare."""
    raise typer.Exit(0 if locks.update() else 1)


@cli.command()
def graph(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if it is not true any more.")
    ] = False,
) -> None:
    """Draw the packages and who uses what of whom: docs/graph.md (Mermaid), docs/graph.svg."""
    stale = drawing.write(ROOT, only_check=check)
    for file in stale:
        typer.echo(f"{file} is {'not true any more: ./triptych graph' if check else 'drawn anew'}.")
    raise typer.Exit(1 if check and stale else 0)


@cli.command("reuse")
def show_reuse(
    alone: Annotated[
        bool, typer.Option("--alone", help="Only names that fewer than two services use.")
    ] = False,
) -> None:
    """Tell which names of each library which services use."""
    found = list(reuse.uses(workspace.packages(ROOT)))
    Console().print(reuse.table(found, alone=alone))
    shared = sum(use.shared for use in found)
    typer.echo(f"{shared} of {len(found)} names are used by two services or another library.")


@cli.command()
def sbom(
    service: ServiceName,
    output: Annotated[Path | None, typer.Option(help="A file, instead of the terminal.")] = None,
) -> None:
    """Tell what a SERVICE is made of: a bill of materials in CycloneDX 1.5."""
    text = bill(ROOT, service.value)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


@cli.command()
def images() -> None:
    """Build the services' images, and tell how large they are: needs Docker."""
    pants(ROOT, "package", *containers.IMAGES)
    Console().print(containers.sizes())


@config.command("explain")
def config_explain(service: ServiceName) -> None:
    """Print every setting of a SERVICE: type, default, meaning, and where its value comes from."""
    for setting in explain(SETTINGS[service]):
        typer.secho(setting.variable, bold=True)
        typer.echo(f"    {setting.meaning}")
        typer.echo(f"    type: {setting.type}; default: {setting.default}; from: {setting.source}")


def main() -> None:
    """Run the command line; foreseen errors are one message and an exit code."""
    with exit_on_error("triptych"):
        cli()
