"""The door for whoever writes contracts: `ingestion contracts …`."""

from pathlib import Path
from typing import Annotated

import typer

from triptych.core.logging import configure_logging
from triptych.ingestion.application.contracts import Mode, check_versions, try_examples
from triptych.ingestion.domain.admission import ContractSet
from triptych.ingestion.infrastructure.contracts import read_contracts
from triptych.ingestion.settings import IngestionSettings

contracts_cli = typer.Typer(help="Check contracts before they are used.", no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Argument(help="The folder; else TRIPTYCH_CONTRACTS_DIR.", show_default=False)
]


@contracts_cli.command()
def check(folder: Folder = None, mode: Mode = Mode.BACKWARD) -> None:
    """Compare each version with the one before it, and name what breaks.

    backward: what was valid still is. forward: what is valid was. full: both. A contract can name
    another mode for itself: "x-compatibility": "none".
    """
    broken = False
    contracts = _read(folder)
    for step in check_versions(contracts, mode):
        broken = broken or bool(step.breaking)
        says = "breaks" if step.breaking else "keeps"
        typer.echo(f"{step.old.id} -> {step.new.id}: {says} {step.mode} compatibility")
        for change in step.breaking:
            typer.echo(f"  {change.pointer}: {change.message}")
    number = sum(map(len, contracts.values()))
    typer.echo(f"{number} contracts of {len(contracts)} types.")
    raise typer.Exit(1 if broken else 0)


@contracts_cli.command("test")
def run_examples(folder: Folder = None) -> None:
    """Try the examples that contracts carry: "examples", and "x-invalid-examples"."""
    failed = False
    for tried in try_examples(_read(folder)):
        failed = failed or bool(tried.failures)
        says = f"{tried.number} examples" if tried.number else "no examples"
        typer.echo(f"{tried.contract.id}: {says}, {len(tried.failures)} failures")
        for failure in tried.failures:
            typer.echo(f"  {failure}")
    raise typer.Exit(1 if failed else 0)


def _read(folder: Path | None) -> ContractSet:
    settings = IngestionSettings.load()
    configure_logging(settings.log)
    return read_contracts(folder or settings.contracts_dir)
