"""Say what was measured of analytics: a table for people, JSON for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from triptych.tools.bench.analytics.measure import (
    ANALYTICS,
    COLD,
    DATASETTE,
    DUCKDB,
    HIT,
    NO_OP,
    NOT_MODIFIED,
    PAGE,
    Plan,
    Row,
)
from triptych.tools.bench.plainly import machine


@dataclass(frozen=True, slots=True)
class Goal:
    """How fast one side has to be beside another."""

    told: str
    mine: tuple[str, str]
    other: tuple[str, str]
    at_least: float
    """Times the other's rate."""

    def ratio(self, rows: Sequence[Row]) -> float | None:
        """What was measured of it."""
        rates = {(row.work, row.side): row.rate for row in rows}
        mine, other = rates.get(self.mine), rates.get(self.other)
        return mine / other if mine and other else None


def goals(plan: Plan) -> Iterator[Goal]:
    """What has to be reached."""
    for number in plan.connections:
        no_op = (f"{HIT}, {number} connections", NO_OP)
        for work in (HIT, NOT_MODIFIED):
            name = f"{work}, {number} connections"
            yield Goal(f"{name}: at least 0.7 of the no-op", (name, ANALYTICS), no_op, 0.7)
    cold = (COLD, ANALYTICS)
    yield Goal("cold: at most 1.3 times as long as raw DuckDB", cold, (COLD, DUCKDB), 1 / 1.3)
    yield Goal("cold: at least 10 times as fast as Datasette", cold, (COLD, DATASETTE), 10)
    page = f"{PAGE} of 100"
    told = "the deep page: at most 1.2 times as long as the first"
    yield Goal(told, (page, "deep"), (page, "first"), 1 / 1.2)


def show(out: Console, plan: Plan, rows: Sequence[Row]) -> None:
    """Print a table, and the goals."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title_justify="left")
    table.add_column(f"analytics, {plan.rows:,} rows", no_wrap=True)
    for column in ("requests/s", "p50 ms", "p99 ms", "peak MB", "errors"):
        table.add_column(column, justify="right", no_wrap=True)
    for work in dict.fromkeys(row.work for row in rows):
        table.add_row(f"[bold]{work}")
        for row in rows:
            if row.work == work:
                table.add_row(
                    f"  {row.side}",
                    f"{row.rate:,.2f}" if row.rate < _FEW else f"{row.rate:,.0f}",
                    f"{row.p50_ms:,.2f}",
                    f"{row.p99_ms:,.2f}",
                    "" if row.peak_mb is None else f"{row.peak_mb:,.0f}",
                    ", ".join(f"{n} x {status}" for status, n in row.errors.items()) or "0",
                )
        table.add_section()
    out.print(table)
    for goal in goals(plan):
        if (found := goal.ratio(rows)) is not None:
            reached = "[green]reached" if found >= goal.at_least else "[red]missed"
            out.print(f"{goal.told}: {found:.2f} (at least {goal.at_least:.2f}), {reached}")


_FEW: Final = 100


def as_json(plan: Plan, rows: Sequence[Row]) -> bytes:
    """Everything, with the machine that it is true of."""
    content = {
        "machine": machine(),
        "plan": asdict(plan),
        "rows": [asdict(row) for row in rows],
        "goals": [
            {"goal": goal.told, "at_least": goal.at_least, "measured": goal.ratio(rows)}
            for goal in goals(plan)
        ],
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)
