"""Measure analytics beside what it is compared with, in one run."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias
from urllib.parse import urlencode

import httpx2

from triptych.analytics.application.asking import Asked
from triptych.analytics.application.ports import Part
from triptych.analytics.domain import filters
from triptych.analytics.domain.columns import ColumnType
from triptych.analytics.domain.cursors import Cursors, Place
from triptych.analytics.domain.query import Order, RowQuery
from triptych.testing.processes import Service, running
from triptych.tools.bench.analytics import data, peers
from triptych.tools.bench.generator import Job, Result, generate
from triptych.tools.memory import peak_mb

Step: TypeAlias = Callable[[str], None]
"""Told what is measured next."""

COLD, HIT, NOT_MODIFIED, PAGE = "cold", "cached", "304", "page"
ANALYTICS, NO_OP, DUCKDB, ROAPI, DATASETTE, PRACTICE = (
    "analytics", "no-op", "DuckDB", "roapi", "Datasette", "common practice",
)  # fmt: skip
_FIRST: Final = datetime.fromisoformat(data.FIRST).replace(tzinfo=UTC)
_QUERY: Final = "/v1/query"
SECRET: Final = "what signs cursors for as long as this lasts"  # noqa: S105  # of its own


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rows: int = 10_000_000
    rounds: int = 5
    seconds: float = 4
    connections: tuple[int, ...] = (1, 32)
    deep: int = 10_000
    """The page that is called deep; pages have a hundred rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one side."""

    work: str
    side: str
    rate: float
    """Requests a second."""
    p50_ms: float
    p99_ms: float
    peak_mb: float | None = None
    errors: dict[str, int] = field(default_factory=dict)


def measure(plan: Plan, step: Step) -> Iterator[Row]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="triptych-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        step("data")
        files = data.make_lake(folder, plan.rows)
        database = folder / "orders.db"
        data.make_sqlite(database, files)
        settings = {
            "TRIPTYCH_LAKE_URL": str(folder / "lake"),
            "TRIPTYCH_METRICS_DIR": str(folder / "metrics"),
            "TRIPTYCH_ACCESS_URL": f"sqlite:///{folder}/analytics.db",
            "TRIPTYCH_CURSOR__SECRET": SECRET,
            "TRIPTYCH_LIMIT__BURST": "1000000",
            "TRIPTYCH_LIMIT__SUSTAINED": "100000000",
            "TRIPTYCH_LIMIT__DAILY": "10000000000",
        }
        analytics = stack.enter_context(running("analytics", settings))
        no_op = stack.enter_context(running("tools.bench.no_op", {}))
        practice = stack.enter_context(
            running("tools.bench.analytics.common_practice", {"DATABASE": str(database)})
        )
        yield from _cold(plan, analytics, practice, files, database, step)
        yield from _pages(plan, analytics, step)
        yield from _cached(plan, analytics, no_op, practice, step)


def _cold(  # all sides
    plan: Plan, analytics: Service, practice: Service, files: list[str], database: Path, step: Step
) -> Iterator[Row]:
    """Sums and counts by day and category, each time over another range: nothing helps."""
    taken: dict[str, list[float]] = {}
    with (
        peers.raw_duckdb(files) as duckdb,
        peers.datasette(database) as datasette,
        peers.roapi(database.parent, files) as roapi,
        httpx2.Client(timeout=600) as client,
    ):
        sides: dict[str, peers.Asking | None] = {
            ANALYTICS: lambda start: _ask(client, analytics, start),
            DUCKDB: duckdb,
            ROAPI: roapi,
            PRACTICE: lambda start: _get(
                client, f"{practice.url}/daily?{urlencode({'start': start})}"
            ),
            DATASETTE: datasette,
        }
        for number in range(plan.rounds + 1):
            for side, ask in sides.items():
                if ask is None:  # it is not installed
                    continue
                if number > 1 and side in (DATASETTE, PRACTICE):
                    continue  # they are slow: once, after a first time that does not count
                step(f"{COLD}: {side}")
                started = time.perf_counter()
                ask(_start(number))
                if number:
                    taken.setdefault(side, []).append(time.perf_counter() - started)
    for side, seconds in taken.items():
        middle = median(seconds)
        peak = peak_mb(analytics.process.pid) if side == ANALYTICS else None
        yield Row(COLD, side, 1 / middle, middle * 1000, max(seconds) * 1000, peak)


def _pages(plan: Plan, analytics: Service, step: Step) -> Iterator[Row]:
    """A hundred rows, at the start and deep inside; each time of another filter: nothing helps."""
    taken: dict[str, list[float]] = {"first": [], "deep": []}
    with httpx2.Client(timeout=600) as client:
        for number in range(2 * plan.rounds):
            step(f"{PAGE} {number + 1}")
            for name, row in (("first", None), ("deep", min(plan.deep * 100, plan.rows - 200))):
                where = f"id != -{number + 1}"
                asked: dict[str, str | int] = {
                    "order": "ordered_at,id",
                    "limit": 100,
                    "where": where,
                }
                cursor = {} if row is None else {"cursor": _cursor(plan, where, row)}
                began = time.perf_counter()
                found = client.get(
                    f"{analytics.url}/v1/tables/orders/rows", params={**asked, **cursor}
                )
                taken[name].append(time.perf_counter() - began)
                found.raise_for_status()
    for name, seconds in taken.items():
        middle = median(seconds)
        yield Row(f"{PAGE} of 100", name, 1 / middle, middle * 1000, max(seconds) * 1000)


def _last_but(rows: int, plan: Plan) -> datetime:
    return _FIRST + timedelta(days=data.DAYS) * ((plan.rows - rows) / plan.rows)


def _cursor(plan: Plan, where: str, row: int) -> str:
    """The cursor that leads to what follows a row, as who has walked that far has it."""
    types = {"id": ColumnType.INTEGER}
    order = (Order("ordered_at"), Order("id"))
    query = RowQuery("orders", data.COLUMNS, filters.parse(where, types), order)
    at = _FIRST + timedelta(seconds=row * data.DAYS * 86_400 // plan.rows)
    place = Place((at, row, row), False, {"orders": 0})
    scope = Asked(query, {}, Part(100)).scope
    return Cursors(SECRET.encode(), timedelta(days=1)).write(place, scope, datetime.now(UTC))


def _cached(
    plan: Plan, analytics: Service, no_op: Service, practice: Service, step: Step
) -> Iterator[Row]:
    """The same question again and again."""
    path = f"/v1/metrics/revenue/query?{urlencode({'grain': 'month', 'by': 'category'})}"
    etag = httpx2.get(f"{analytics.url}{path}", headers={"Accept-Encoding": "identity"}).headers[
        "etag"
    ]
    daily = f"/daily?{urlencode({'start': _last_but(100_000, plan).isoformat(sep=' ')})}"
    httpx2.get(f"{practice.url}{daily}", timeout=600)
    sides = (
        (HIT, ANALYTICS, analytics, path, ""),
        (NOT_MODIFIED, ANALYTICS, analytics, path, f"If-None-Match: {etag}\r\n"),
        (HIT, PRACTICE, practice, daily, ""),
        (HIT, NO_OP, no_op, "/v1/nothing", ""),
    )
    for connections in plan.connections:
        results = [Result() for _ in sides]
        for round_ in range(plan.rounds):
            for index, (work, side, service, where, headers) in enumerate(sides):
                step(f"{work}, {connections} connections, round {round_ + 1}: {side}")
                job = Job(service.url, 1, connections, plan.seconds, 0.5, (where,), headers)
                results[index] += generate(job)
        for (work, side, service, _, _), result in zip(sides, results, strict=True):
            yield Row(
                f"{work}, {connections} connections",
                side,
                result.rate,
                result.milliseconds(0.5),
                result.milliseconds(0.99),
                peak_mb(service.process.pid),
                dict(result.errors),
            )


def _start(number: int) -> str:
    return (_FIRST + timedelta(seconds=number + 1)).isoformat(sep=" ")


def _ask(client: httpx2.Client, analytics: Service, start: str) -> object:
    sent = {
        "metrics": ["revenue", "orders"],
        "from": start.replace(" ", "T"),
        "grain": "day",
        "by": ["category"],
        "limit": 10_000,
    }
    return client.post(f"{analytics.url}{_QUERY}", json=sent).raise_for_status()


def _get(client: httpx2.Client, url: str) -> object:
    return client.get(url).raise_for_status()
