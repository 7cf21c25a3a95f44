"""All sides do the same work in turns, and what they made of it is compared."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

from triptych.core.errors import TriptychError
from triptych.tools.bench.etl import work
from triptych.tools.bench.etl.sides import (
    TRIPTYCH,
    Measured,
    again,
    installed,
    run_etl,
    run_peer,
)
from triptych.tools.bench.etl.work import Work

Step: TypeAlias = Callable[[str], None]
"""Told what is measured next."""

NOTHING_NEW: Final = "nothing new"
SLOW: Final = frozenset({"dlt"})
"""Sides that have their turn once."""


class ResultsDiffer(TriptychError):
    """Two sides have made different tables of the same data."""

    hint = "What is measured is not the same work, then."


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rows: int = 1_000_000
    scale: float = 1
    rounds: int = 3
    times: int = 10
    """How many times the rows are for bounded memory."""
    memory: str = "512MB"


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one side."""

    work: str
    side: str
    seconds: float | None
    """The median; none where the side is not installed."""
    peak_mb: float | None = None
    start: float = 0
    """Of the seconds, those that the side needs even for a handful of rows: its start."""


def measure(plan: Plan, step: Step) -> Iterator[Row]:
    """Measure everything.

    Raises:
        SideFailed: a side has not done its work.
        ResultsDiffer: two sides have made different tables.
    """
    starts = _starts(plan, step)
    for doing in (work.orders(plan.rows), work.tpch(plan.scale)):
        if not doing.can_be_made():
            continue
        with tempfile.TemporaryDirectory(prefix="triptych-bench-") as folder:
            step(f"{doing.name}: data")
            doing.make(Path(folder))
            for row in _compared(doing, plan, Path(folder), step):
                start = starts.get(row.side, 0) if row.work == doing.name else 0
                yield replace(row, start=start)
    yield from _bounded(plan, step)


def _starts(plan: Plan, step: Step) -> dict[str, float]:
    """How long each side takes to do next to nothing."""
    doing = work.orders(_HANDFUL)
    with tempfile.TemporaryDirectory(prefix="triptych-bench-") as folder:
        doing.make(Path(folder))
        _once(doing, TRIPTYCH, Path(folder))  # compiles what is not yet
        rows = list(_compared(doing, plan, Path(folder), step))
    return {row.side: row.seconds for row in rows if row.work == doing.name and row.seconds}


_HANDFUL: Final = 20


def _once(doing: Work, side: str, folder: Path) -> Measured:
    return run_etl(doing, folder) if side == TRIPTYCH else run_peer(doing, side, folder)


def _compared(doing: Work, plan: Plan, folder: Path, step: Step) -> Iterator[Row]:
    there = [TRIPTYCH, *(peer for peer in doing.peers if installed(peer))]
    found: dict[str, list[Measured]] = {side: [] for side in there}
    for round_ in range(plan.rounds):
        for side in there:
            if round_ and side in SLOW:
                continue
            step(f"{doing.name}: {side}")
            found[side].append(_once(doing, side, folder))
    _check({side: measured[0].result for side, measured in found.items()})
    for side in (TRIPTYCH, *doing.peers):
        yield _row(doing.name, side, found.get(side, []))
    if doing.script == "orders" and doing.name != work.orders(_HANDFUL).name:
        step(f"{doing.name}: {NOTHING_NEW}")
        run_etl(doing, folder)
        yield _row(NOTHING_NEW, TRIPTYCH, [again(doing, folder) for _ in range(plan.rounds)])


def _bounded(plan: Plan, step: Step) -> Iterator[Row]:
    doing = work.orders(plan.rows * plan.times)
    with tempfile.TemporaryDirectory(prefix="triptych-bench-") as folder:
        step(f"{doing.name}: data")
        doing.make(Path(folder))
        step(f"{doing.name}: {TRIPTYCH} with {plan.memory}")
        limit = {"TRIPTYCH_ENGINE__DUCKDB__MEMORY": plan.memory}
        measured = run_etl(doing, Path(folder), limit)
        yield _row(f"{doing.name} with {plan.memory}", TRIPTYCH, [measured])


def _row(name: str, side: str, measured: list[Measured]) -> Row:
    if not measured:
        return Row(name, side, None)
    peak = max(one.peak_mb for one in measured)
    return Row(name, side, median(one.seconds for one in measured), peak)


def _check(results: Mapping[str, Mapping[str, object]]) -> None:
    """Every peer says how many rows its tables have, and the sum of revenue."""
    peers = {side: result for side, result in results.items() if side != TRIPTYCH}
    for side, result in peers.items():
        first_side, first = next(iter(peers.items()))
        for name, value in result.items():
            if abs(float(str(value)) - float(str(first[name]))) > _TOLERANCE * float(str(value)):
                raise ResultsDiffer(f"{name}: {side} {value}, {first_side} {first[name]}")
        counts = {name: rows for name, rows in results[TRIPTYCH].items() if name in result}
        if any(rows != result[name] for name, rows in counts.items()):
            raise ResultsDiffer(f"{side} {dict(result)}, {TRIPTYCH} {counts}")


_TOLERANCE: Final = 1e-9  # some sides compute money with floating-point numbers
