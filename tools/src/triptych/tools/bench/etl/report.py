"""Say what was measured of etl: a table for people, JSON for programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from triptych.tools.bench.etl.measure import NOTHING_NEW, Plan, Row
from triptych.tools.bench.etl.sides import HAND_WRITTEN, REMARKS, TRIPTYCH
from triptych.tools.bench.plainly import machine

NOTHING_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Goal:
    """How fast etl has to be beside another side, at each work that both do."""

    against: str
    at_least: float
    """Times as fast: less than 1 allows it to be slower."""


GOALS: Final = (Goal("dlt", 5), Goal(HAND_WRITTEN, 1 / 1.5))


def ratio(rows: Sequence[Row], work: str, against: str) -> float | None:
    """How many times as fast as another side etl did a work; none where either was not measured."""
    seconds = {row.side: row.seconds for row in rows if row.work == work}
    mine, other = seconds.get(TRIPTYCH), seconds.get(against)
    return other / mine if mine and other else None


def without_start(rows: Sequence[Row], work: str, against: str) -> float | None:
    """The same ratio, of the time that is left when each side has started."""
    seconds = {
        row.side: row.seconds - row.start for row in rows if row.work == work and row.seconds
    }
    mine, other = seconds.get(TRIPTYCH), seconds.get(against)
    return other / mine if mine and other and mine > 0 else None


def show(out: Console, rows: Sequence[Row]) -> None:
    """Print a table, and the goals."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("etl", no_wrap=True)
    for column in ("seconds", "of start", "peak MB", "etl is", "once started"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for work in dict.fromkeys(row.work for row in rows):
        table.add_row(f"[bold]{work}")
        for row in rows:
            if row.work == work:
                table.add_row(*_cells(rows, row))
        table.add_section()
    out.print(table)
    for told, reached in verdicts(rows):
        out.print(f"{told}, {'[green]reached' if reached else '[red]missed'}")


def verdicts(rows: Sequence[Row]) -> list[tuple[str, bool]]:
    """Each goal that was measured, and whether it was reached."""
    found = []
    for work in dict.fromkeys(row.work for row in rows):
        for goal in GOALS:
            for how, measured in (("", ratio), (", once started", without_start)):
                if (times := measured(rows, work, goal.against)) is not None:
                    told = (
                        f"{work}: at least {goal.at_least:.2f} times as fast as {goal.against}{how}"
                    )
                    found.append((f"{told}: {times:.2f}", times >= goal.at_least))
    for row in rows:
        if row.work == NOTHING_NEW and row.seconds is not None:
            told = f"{NOTHING_NEW}: less than {NOTHING_SECONDS:g} s: {row.seconds:.2f}"
            found.append((told, row.seconds < NOTHING_SECONDS))
    return found


def as_json(plan: Plan, rows: Sequence[Row]) -> bytes:
    """Everything, with the machine that it is true of."""
    content = {
        "machine": machine(),
        "plan": asdict(plan),
        "rows": [asdict(row) | {"etl is times": ratio(rows, row.work, row.side)} for row in rows],
        "goals": [{"goal": told, "reached": reached} for told, reached in verdicts(rows)],
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def _cells(rows: Sequence[Row], row: Row) -> list[str]:
    if row.seconds is None:
        return [f"  {row.side}", *[""] * 5, "not installed: uv sync --group bench"]
    return [
        f"  {row.side}",
        f"{row.seconds:,.2f}",
        f"{row.start:,.2f}" if row.start else "",
        f"{row.peak_mb:,.0f}" if row.peak_mb else "",
        _times(row, ratio(rows, row.work, row.side)),
        _times(row, without_start(rows, row.work, row.side)),
        REMARKS[row.side],
    ]


def _times(row: Row, times: float | None) -> str:
    return "" if row.side == TRIPTYCH or times is None else f"{times:,.2f} x as fast"
