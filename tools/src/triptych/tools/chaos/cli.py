"""`triptych chaos`."""

from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from triptych.tools.chaos.analytics.scenarios import play as play_analytics
from triptych.tools.chaos.etl.scenarios import Numbers as EtlNumbers
from triptych.tools.chaos.etl.scenarios import play as play_etl
from triptych.tools.chaos.ingestion import Numbers, play
from triptych.tools.chaos.verdict import State, Verdict
from triptych.tools.stores import StoreChoice

cli = typer.Typer(help="Break things, and count what is lost.", no_args_is_help=True)

_COLOURS = {State.HELD: "green", State.BROKEN: "red", State.SKIPPED: "yellow"}


@cli.callback()
def chaos() -> None:
    """Break what a service depends on, and count whether it keeps its promises."""


@cli.command()
def ingestion(
    kills: Annotated[int, typer.Option(help="How often the service is killed under load.")] = 20,
    store: Annotated[StoreChoice, typer.Option(help="What holds the log.")] = StoreChoice.BOTH,
    seed: Annotated[int, typer.Option(help="Of the moments of the kills.")] = 1,
    only: Annotated[str, typer.Option(help="Play scenarios whose name contains this.")] = "",
) -> None:
    """Kill ingestion and its database, fill its disk, send it what means no good; then count."""
    out = Console()
    ended: list[tuple[str, Verdict]] = []
    for name in store.names:
        for verdict in play(name, Numbers(kills=kills, seed=seed), only):
            _print(out, name, verdict)
            ended.append((name, verdict))
    out.print(_table(ended))
    broken = any(verdict.state is State.BROKEN for _, verdict in ended)
    raise typer.Exit(1 if broken else 0)


@cli.command()
def etl(
    kills: Annotated[int, typer.Option(help="How often runs are killed.")] = 50,
    seed: Annotated[int, typer.Option(help="Of the moments of the kills.")] = 1,
    only: Annotated[str, typer.Option(help="Play scenarios whose name contains this.")] = "",
) -> None:
    """Kill runs of etl, fill its disk, damage what it reads, let two run at once; then count."""
    out = Console()
    ended: list[tuple[str, Verdict]] = []
    for verdict in play_etl(EtlNumbers(kills=kills, seed=seed), only):
        _print(out, "etl", verdict)
        ended.append(("etl", verdict))
    out.print(_table(ended))
    broken = any(verdict.state is State.BROKEN for _, verdict in ended)
    raise typer.Exit(1 if broken else 0)


@cli.command()
def analytics(
    kills: Annotated[int, typer.Option(help="How often the service is killed.")] = 10,
    only: Annotated[str, typer.Option(help="Play scenarios whose name contains this.")] = "",
) -> None:
    """Take Redis away from analytics, and its files, memory and time; kill it; count its answers."""
    out = Console()
    ended: list[tuple[str, Verdict]] = []
    for verdict in play_analytics(kills, only):
        _print(out, "analytics", verdict)
        ended.append(("analytics", verdict))
    out.print(_table(ended))
    broken = any(verdict.state is State.BROKEN for _, verdict in ended)
    raise typer.Exit(1 if broken else 0)


def _print(out: Console, store: str, verdict: Verdict) -> None:
    colour = _COLOURS[verdict.state]
    out.print(f"[bold]{store}: {verdict.scenario}[/]: [{colour}]{verdict.state}[/]")
    out.print(f"  promised: {verdict.promised}", markup=False, highlight=False)
    out.print(f"  counted:  {verdict.counted}", markup=False, highlight=False)


def _table(ended: list[tuple[str, Verdict]]) -> Table:
    table = Table("store", "scenario", "promised", "counted", "", box=SIMPLE_HEAD)
    for store, verdict in ended:
        cells = (verdict.scenario, verdict.promised, verdict.counted)
        end = f"[{_COLOURS[verdict.state]}]{verdict.state}"
        table.add_row(store, *(escape(cell) for cell in cells), end)
    return table
