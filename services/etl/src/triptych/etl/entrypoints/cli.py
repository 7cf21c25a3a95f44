"""The door for people: `etl run`."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from triptych.core.errors import exit_on_error
from triptych.core.logging import configure_logging
from triptych.etl.application.pipeline import read_pipeline
from triptych.etl.application.ports import Watcher
from triptych.etl.infrastructure.plugins import InstalledPlugins
from triptych.etl.settings import EtlSettings
from triptych.etl.wiring import wire

cli = typer.Typer(
    name="etl",
    help="Turn events into tables: a pipeline is a YAML file, everything in it is a plugin.",
    epilog="Settings come from the environment: see `triptych config explain etl`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@cli.callback()
def etl() -> None:
    """Turn events into tables."""


@cli.command()
def run(
    pipelines: Annotated[list[Path], typer.Argument(help="The pipelines' YAML files, in order.")],
) -> None:
    """Run pipelines over what is new. Killed anywhere and run again, the table is the same."""
    settings = EtlSettings.load()
    configure_logging(settings.log)
    plugins = InstalledPlugins()
    ready = [read_pipeline(path, plugins, os.environ) for path in pipelines]
    terminal = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}: {task.completed:,.0f} rows read"))
    with (
        wire(settings) as run_pipeline,
        Progress(
            *columns, console=terminal, disable=not terminal.is_terminal, transient=True
        ) as bar,
    ):
        for pipeline in ready:
            task = bar.add_task(pipeline.name, total=None)
            watcher = Watcher(reading=partial(bar.advance, task))
            for report in run_pipeline(pipeline, watcher):
                typer.echo(str(report))


def main() -> None:
    """Run the command line; foreseen errors are one message and an exit code."""
    with exit_on_error("etl"):
        cli()
