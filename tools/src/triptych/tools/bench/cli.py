"""`triptych bench`."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from triptych.tools.bench import build as building
from triptych.tools.bench import report
from triptych.tools.bench.analytics import measure as analytics_measure
from triptych.tools.bench.analytics import report as analytics_report
from triptych.tools.bench.etl import measure as etl_measure
from triptych.tools.bench.etl import report as etl_report
from triptych.tools.bench.ingestion import Plan, Row, measure
from triptych.tools.bench.soak import Soaked, soak
from triptych.tools.repository import install_everything
from triptych.tools.stores import StoreChoice, StoreName, stores

WIDTH: Final = 120  # what the table needs, where no terminal says how wide it is

cli = typer.Typer(help="Measure how fast it is.", no_args_is_help=True)


@cli.callback()
def bench() -> None:
    """Measure how fast a service is, beside what it can be compared with."""


@cli.command()
def ingestion(
    store: Annotated[StoreChoice, typer.Option(help="What holds the log.")] = StoreChoice.BOTH,
    quick: Annotated[bool, typer.Option("--quick", help="All of it, but small.")] = False,
    events: Annotated[int, typer.Option(help="In the file that is loaded.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each has its turn.")] = 3,
    json: Annotated[Path | None, typer.Option(help="Write the numbers here, too.")] = None,
    soak_minutes: Annotated[
        float | None, typer.Option("--soak", help="Minutes of load, to see memory only.")
    ] = None,
) -> None:
    """Measure ingestion beside common practice, a service that does nothing, and COPY.

    Each of them is warmed up and has its turn; the load comes from a process of its own, and every
    connection waits for its answer before it sends again.
    """
    if soak_minutes is not None:
        flat = [_soak(name, soak_minutes) for name in store.names]
        raise typer.Exit(0 if all(flat) else 1)
    plan = _quick(store.names) if quick else Plan(store.names, rounds=rounds, file_events=events)
    rows = _measure(plan)
    report.show(Console(width=max(WIDTH, Console().width)), rows)
    if json is not None:
        json.write_bytes(report.as_json(plan, rows))
    raise typer.Exit(1 if any(row.errors for row in rows) else 0)


@cli.command()
def etl(
    quick: Annotated[bool, typer.Option("--quick", help="All of it, but small.")] = False,
    rows: Annotated[int, typer.Option(min=1, help="How many orders.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each has its turn.")] = 3,
    json: Annotated[Path | None, typer.Option(help="Write the numbers here, too.")] = None,
) -> None:
    """Measure etl beside dlt, pandas, Polars and DuckDB by hand, which do the same work.

    Each does it in a process of its own, from the start of the interpreter to the end. dlt, which is
    slow, has its turn once.
    """
    install_everything("bench")
    plan = etl_measure.Plan(rows=rows, rounds=rounds)
    if quick:
        plan = etl_measure.Plan(rows=20_000, scale=0.01, rounds=1, times=2)
    with _progress() as bar:
        task = bar.add_task("starting", total=None)
        found = list(etl_measure.measure(plan, lambda what: bar.update(task, description=what)))
    etl_report.show(Console(width=max(WIDTH, Console().width)), found)
    if json is not None:
        json.write_bytes(etl_report.as_json(plan, found))


@cli.command()
def analytics(
    quick: Annotated[bool, typer.Option("--quick", help="All of it, but small.")] = False,
    rows: Annotated[int, typer.Option(min=1000, help="How many orders.")] = 10_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each has its turn.")] = 5,
    json: Annotated[Path | None, typer.Option(help="Write the numbers here, too.")] = None,
) -> None:
    """Measure analytics beside raw DuckDB, roapi, Datasette, common practice and a service
    that does nothing: questions that nobody asked before, and such as were answered; the first page and a
    deep one."""
    install_everything("bench")
    plan = analytics_measure.Plan(rows=rows, rounds=rounds)
    if quick:
        plan = analytics_measure.Plan(rows=20_000, rounds=1, seconds=0.5, deep=50)
    with _progress() as bar:
        task = bar.add_task("starting", total=None)
        found = list(
            analytics_measure.measure(plan, lambda what: bar.update(task, description=what))
        )
    analytics_report.show(Console(width=max(WIDTH, Console().width)), plan, found)
    if json is not None:
        json.write_bytes(analytics_report.as_json(plan, found))


@cli.command()
def build(
    quick: Annotated[bool, typer.Option("--quick", help="Unit tests only.")] = False,
    tag: Annotated[str, typer.Option(help="Which tests, as `./pants --tag`.")] = "",
    json: Annotated[Path | None, typer.Option(help="Write the numbers here, too.")] = None,
) -> None:
    """Measure what a change of one line costs with Pants, beside running all tests.

    It works in a clone of the last commit, and installs everything anew: count on five times what all
    tests take.
    """
    tags = "unit" if quick else tag
    with _progress() as bar:
        task = bar.add_task("starting", total=None)
        runs = list(building.measure(tags, lambda what: bar.update(task, description=what)))
    building.show(Console(width=max(WIDTH, Console().width)), runs)
    if json is not None:
        json.write_bytes(building.as_json(tags, runs))


def _quick(chosen: tuple[StoreName, ...]) -> Plan:
    return Plan(
        chosen,
        connections=(1, 64),
        rounds=1,
        seconds=1,
        warmup=0.3,
        file_events=10_000,
        copied_events=20_000,
    )


def _measure(plan: Plan) -> list[Row]:
    with _progress() as bar:
        task = bar.add_task("starting", total=plan.steps)

        def step(what: str) -> None:
            bar.update(task, description=what)
            bar.advance(task)

        return list(measure(plan, step))


def _soak(name: StoreName, minutes: float) -> bool:
    with stores(name) as new_store, _progress() as bar:
        task = bar.add_task(f"{name}: soaking", total=minutes * 60)
        found = soak(new_store(), minutes, sampled=lambda done: bar.update(task, completed=done))
    Console().print(_told(name, found))
    return found.flat


def _told(name: StoreName, found: Soaked) -> str:
    return (
        f"{name}: {found.result.acknowledged:,} events, {found.result.rate:,.0f} a second, "
        f"errors {dict(found.result.errors) or 0}; memory {found.first:.1f} MB in the first quarter, "
        f"{found.last:.1f} MB in the last, {found.mb_an_hour:+.1f} MB an hour: "
        f"{'flat' if found.flat else 'NOT FLAT'}"
    )


def _progress() -> Progress:
    terminal = Console(stderr=True)
    return Progress(
        *Progress.get_default_columns(),
        MofNCompleteColumn(),
        console=terminal,
        disable=not terminal.is_terminal,
        transient=True,
    )
