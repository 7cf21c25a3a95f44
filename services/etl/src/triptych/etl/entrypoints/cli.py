"""The door for people: `etl`."""

from pathlib import Path
from typing import Annotated

import typer

from triptych.core.errors import exit_on_error
from triptych.etl.application.cases import cases_of
from triptych.etl.domain.expressions import DIALECT
from triptych.etl.domain.secrets import show
from triptych.etl.entrypoints import (
    backfill_cli,
    plugins_cli,
    runs_cli,
    serve_cli,
    shown,
    tables_cli,
)
from triptych.etl.entrypoints.opening import opened, opened_state, pipeline_at, prepared_state
from triptych.etl.entrypoints.progress import progress
from triptych.etl.infrastructure.plugins import InstalledPlugins
from triptych.etl.infrastructure.tables import SCHEMAS
from triptych.service.keys_cli import keys_cli
from triptych.service.migrate_cli import migrate_command

cli = typer.Typer(
    name="etl",
    help="Turn events into tables: a pipeline is a YAML file, everything in it is a plugin.",
    epilog="Settings come from the environment: see `triptych config explain etl`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Paths = Annotated[list[Path], typer.Argument(help="The pipelines' YAML files, in order.")]
OnePath = Annotated[Path, typer.Argument(help="The pipeline's YAML file.")]


@cli.command()
def run(pipelines: Paths) -> None:
    """Run pipelines over what is new. Killed anywhere and run again, the table is the same."""
    plugins = InstalledPlugins()
    ready = [pipeline_at(path, plugins) for path in pipelines]
    with opened() as etl, progress() as watch:
        for pipeline in ready:
            for report in etl.run(pipeline, watch(pipeline.name)):
                typer.echo(str(report))
                for warned in report.warnings:
                    rows = "" if warned.rows is None else f" ({warned.rows:,} rows)"
                    typer.echo(f"  warning: {warned.check}: {warned.fault}{rows}")


@cli.command()
def validate(pipelines: Paths) -> None:
    """Check pipelines without reading anything: all that is wrong is told at once."""
    plugins = InstalledPlugins()
    for path in pipelines:
        pipeline = pipeline_at(path, plugins)
        outputs = ", ".join(sink.target for sink in pipeline.sinks.values())
        typer.echo(f"{path}: {pipeline.name} -> {outputs}: valid")


@cli.command()
def plan(
    path: OnePath,
    sql: Annotated[bool, typer.Option("--sql", help="Print the queries, too.")] = False,
) -> None:
    """Tell what the next run would do, without writing anything."""
    pipeline = pipeline_at(path)
    with opened() as etl:
        planned = etl.attempt.plan(pipeline)
    if not planned.outputs:
        typer.echo(f"{pipeline.name}: nothing new after position {planned.until}")
    for output in planned.outputs:
        effects = output.effects
        typer.echo(f"{pipeline.name}.{output.name} -> {output.target}")
        typer.echo(f"  positions {output.after} to {planned.until}: {output.rows}")
        typer.echo(
            f"  rows: {effects.added:,} added, {effects.changed:,} changed,"
            f" {effects.removed:,} removed"
        )
        for name, kind in output.columns.items():
            if output.before.get(name) != kind:
                was = output.before.get(name, "new") if output.before else "new"
                typer.echo(f"  column {name}: {kind} ({was})")
        for warned in output.warnings:
            typer.echo(f"  warning: {warned.check}: {warned.fault}")
    if planned.outputs:
        cost = planned.cost
        files = f", {cost.files:,} files of {cost.bytes:,} bytes" if cost.files else ""
        typer.echo(f"{pipeline.name}: computed in {cost.seconds:.2f} s{files}")
    if sql:
        for step, relation, query in planned.queries:
            typer.echo(f"\n-- {step}: {relation}\n{show(query, DIALECT, pretty=True)}")


@cli.command()
def preview(
    path: OnePath,
    step: Annotated[
        str, typer.Option(help="After which step: `input`, `transforms[0]`, `main`, an output.")
    ] = "main",
    rows: Annotated[int, typer.Option(min=1, help="How many rows.")] = 10,
) -> None:
    """Show the first rows after a step, of all that the source has. Nothing is written."""
    pipeline = pipeline_at(path)
    with opened() as etl:
        shown.rows(etl.attempt.preview(pipeline, step, rows))


@cli.command()
def lineage(pipelines: Paths) -> None:
    """Tell which columns of the sources the columns of the outputs are made of."""
    plugins = InstalledPlugins()
    rows: list[tuple[str, str, str]] = []
    with opened() as etl:
        for path in pipelines:
            for target, columns in etl.attempt.lineage(pipeline_at(path, plugins)).items():
                rows += (
                    (target, name, ", ".join(f"{origin}.{of}" for origin, of in sorted(found)))
                    for name, found in columns.items()
                )
    shown.table(("output", "column", "made of"), rows)


@cli.command(name="test")
def run_cases(
    pipelines: Paths,
    record: Annotated[
        bool, typer.Option("--record", help="Print a case of real rows instead, to be checked.")
    ] = False,
    rows: Annotated[int, typer.Option(min=1, help="How many rows to record.")] = 5,
) -> None:
    """Test pipelines with the cases in their files, or in NAME.tests.yaml beside them."""
    plugins = InstalledPlugins()
    failed = 0
    with opened() as etl:
        if record:
            for path in pipelines:
                typer.echo(etl.record(pipeline_at(path, plugins), rows), nl=False)
            return
        for path in pipelines:
            pipeline = pipeline_at(path, plugins)
            for case in cases_of(pipeline):
                result = etl.test(pipeline, case)
                failed += bool(result.differences)
                typer.echo(f"{path}: {case.name}: {'failed' if result.differences else 'passed'}")
                for difference in result.differences:
                    typer.echo(f"  {difference}")
    raise typer.Exit(1 if failed else 0)


cli.command()(backfill_cli.backfill)
cli.command()(serve_cli.serve)
cli.command("migrate")(migrate_command(opened_state, SCHEMAS))
cli.command()(plugins_cli.schema)
cli.command()(tables_cli.diff)
cli.command()(tables_cli.vacuum)
cli.add_typer(plugins_cli.cli, name="plugins")
cli.add_typer(tables_cli.quarantine_cli, name="quarantine")
cli.add_typer(runs_cli.cli, name="runs")
cli.add_typer(keys_cli("etl", prepared_state), name="keys")


def main() -> None:
    """Run the command line; foreseen errors are one message and an exit code."""
    with exit_on_error("etl"):
        cli()
