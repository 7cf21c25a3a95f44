"""The door for people: `ingestion serve` and `ingestion load`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from triptych.core import documents
from triptych.core.errors import Kind, TriptychError, exit_on_error
from triptych.core.logging import configure_logging
from triptych.ingestion.application.load import Load, Summary
from triptych.ingestion.domain.admission import Candidate
from triptych.ingestion.domain.mapping import EventMapping
from triptych.ingestion.domain.outcome import Status
from triptych.ingestion.entrypoints.contracts_cli import contracts_cli
from triptych.ingestion.entrypoints.http import create_ingestion
from triptych.ingestion.entrypoints.keys_cli import keys_cli
from triptych.ingestion.entrypoints.reloading import reloading
from triptych.ingestion.entrypoints.store_cli import migrate, prune
from triptych.ingestion.infrastructure.files import InputFile, open_input, read_csv, read_ndjson
from triptych.ingestion.settings import IngestionSettings
from triptych.ingestion.wiring import wire
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


class NoMapping(TriptychError):
    """A CSV file needs a mapping that says which columns make an event."""

    kind = Kind.INVALID
    hint = "Add: --mapping MAPPING.yaml (see examples/shop/mappings)."


@cli.command()
def serve() -> None:
    """Listen for events at POST /v1/events, until SIGTERM or Ctrl-C."""
    settings = IngestionSettings.load()
    configure_logging(settings.log)
    configure_tracing("ingestion", settings.traces.endpoint)
    with (
        wire(settings) as ingestion,
        ingestion.keys.kept_fresh(),
        reloading(ingestion.contracts, settings.contracts.reload_seconds),
    ):
        app = create_ingestion(ingestion)
        keys = ingestion.keys.required
        serve_http(app, settings.ingestion, section="ingestion", keys=keys)


cli.command()(migrate)
cli.command()(prune)
cli.add_typer(contracts_cli, name="contracts")
cli.add_typer(keys_cli, name="keys")


@cli.command()
def load(
    file: Annotated[Path, typer.Argument(help="NDJSON of CloudEvents, or CSV; gzip or plain.")],
    mapping: Annotated[
        Path | None, typer.Option(help="For CSV: a YAML file that says which columns make what.")
    ] = None,
) -> None:
    """Load a file. Loading it again stores nothing twice; what is refused is kept, with reasons."""
    settings = IngestionSettings.load()
    configure_logging(settings.log)
    columns = documents.load(mapping).to(EventMapping) if mapping else None
    if columns is None and ".csv" in file.name.lower():
        raise NoMapping(repr(file.name))
    with open_input(file) as source, wire(settings) as ingestion:
        candidates = read_csv(source, columns) if columns else read_ndjson(source)
        summary = _load_with_progress(ingestion.load, candidates, source)
    _print_summary(file.name, summary)


def _load_with_progress(load: Load, candidates: Iterator[Candidate], source: InputFile) -> Summary:
    terminal = Console(stderr=True)
    with Progress(console=terminal, disable=not terminal.is_terminal, transient=True) as bar:
        task = bar.add_task(source.name, total=source.size)
        return load(candidates, lambda _: bar.update(task, completed=source.done))


def _print_summary(name: str, summary: Summary) -> None:
    parts = " + ".join(f"{summary.outcomes[status]:,} {status.value}" for status in Status)
    typer.echo(f"{name}: {summary.read:,} read = {parts}")
    for reasons, number in summary.refusals.most_common():
        typer.echo(f"  {number:>7,}  {reasons}")


def main() -> None:
    """Run the command line; foreseen errors are one message and an exit code."""
    with exit_on_error("ingestion"):
        cli()
