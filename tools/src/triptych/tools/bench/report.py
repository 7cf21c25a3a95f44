"""Say what was measured: a table for people, JSON for programs."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from triptych.tools.bench.ingestion import BATCHES, Plan, Row
from triptych.tools.bench.plainly import machine
from triptych.tools.bench.subjects import Shape, Subject
from triptych.tools.stores import StoreName

COMPARED_WITH: Final = (Subject.COMMON_PRACTICE, Subject.NO_OP, Subject.COPY)


@dataclass(frozen=True, slots=True)
class Goal:
    """How fast ingestion has to be, on PostgreSQL."""

    work: Shape
    against: Subject
    at_least: float
    """Times the events a second of the other."""

    def __str__(self) -> str:
        return f"{self.work}: at least {self.at_least:g} times {self.against}"


GOALS: Final = (
    Goal(Shape(1, 64), Subject.COMMON_PRACTICE, 4),
    Goal(Shape(1, 64), Subject.NO_OP, 0.6),
    Goal(BATCHES, Subject.COPY, 0.4),
)


def ratio(rows: Iterable[Row], row: Row, against: Subject) -> float | None:
    """How many times as many events a second as another subject had, at the same work."""
    for other in rows:
        if (other.store, other.work, other.subject) == (row.store, row.work, against):
            return row.events_per_second / other.events_per_second
    return None


def reached(rows: Sequence[Row], goal: Goal) -> float | None:
    """The ratio that a goal is about, if it was measured."""
    for row in rows:
        if (row.store, row.work, row.subject) == (
            StoreName.POSTGRES,
            str(goal.work),
            Subject.INGESTION,
        ):
            return ratio(rows, row, goal.against)
    return None


def show(out: Console, rows: Sequence[Row]) -> None:
    """Print a table for each store, and the goals."""
    for store in dict.fromkeys(row.store for row in rows):
        out.print(_table(store, rows))
    for goal in GOALS:
        if (found := reached(rows, goal)) is not None:
            verdict = "[green]reached" if found >= goal.at_least else "[red]missed"
            out.print(f"{goal}: {found:.2f}, {verdict}")


def as_json(plan: Plan, rows: Sequence[Row]) -> bytes:
    """Everything, with the machine that it is true of."""
    content = {
        "machine": machine(),
        "plan": asdict(plan),
        "rows": [
            asdict(row) | {f"times {other}": ratio(rows, row, other) for other in COMPARED_WITH}
            for row in rows
        ],
        "goals": [
            {
                "goal": str(goal),
                "at_least": goal.at_least,
                "measured": found,
                "reached": found is not None and found >= goal.at_least,
            }
            for goal in GOALS
            for found in [reached(rows, goal)]
        ],
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def _table(store: StoreName, rows: Sequence[Row]) -> Table:
    table = Table(
        title=f"ingestion on {store}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("", no_wrap=True)
    for column in ("events/s", "p50 ms", "p99 ms", "peak MB", "errors"):
        table.add_column(column, justify="right", no_wrap=True)
    for short in ("x practice", "x no-op", "x COPY"):
        table.add_column(short, justify="right", no_wrap=True)
    here = [row for row in rows if row.store is store]
    for work in dict.fromkeys(row.work for row in here):
        table.add_row(f"[bold]{work}")
        for row in here:
            if row.work == work:
                table.add_row(*_cells(rows, row))
        table.add_section()
    return table


def _cells(rows: Sequence[Row], row: Row) -> list[str]:
    return [
        f"  {row.subject}",
        f"{row.events_per_second:,.0f}",
        _number(row.p50_ms, 2),
        _number(row.p99_ms, 2),
        _number(row.peak_mb, 0),
        ", ".join(f"{number} x {status}" for status, number in row.errors.items()) or "0",
        *(_number(ratio(rows, row, other), 2) for other in COMPARED_WITH),
    ]


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
