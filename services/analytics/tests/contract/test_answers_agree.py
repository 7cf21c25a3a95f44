"""Answers are what plain Python computes from the same rows, and walks miss nothing."""

import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triptych.analytics.application.asking import Ask, Asked
from triptych.analytics.application.errors import VersionGone
from triptych.analytics.application.ports import Part, Tables
from triptych.analytics.domain.cursors import Cursors
from triptych.analytics.domain.filters import (
    All,
    Among,
    Compare,
    Filter,
    IsNull,
    Like,
    Not,
    Operator,
    Some,
)
from triptych.analytics.domain.metric import Metric
from triptych.analytics.domain.query import Fill, MetricQuery, Order, RowQuery
from triptych.analytics.infrastructure.lake import open_tables
from triptych.analytics.infrastructure.warehouse import open_warehouse
from triptych.core.domain.time import Grain
from triptych.lake.lake import Lake

Commit = Callable[[Lake, str, pa.Table], int]
Row = Mapping[str, Any]
NOW = datetime(2030, 1, 1, tzinfo=UTC)
CURSORS = Cursors(b"k" * 32, timedelta(days=1))
SCHEMA = pa.schema(
    {
        "at": pa.timestamp("us", tz="UTC"),
        "city": pa.string(),
        "paid": pa.bool_(),
        "amount": pa.decimal128(18, 4),
        "n": pa.int64(),
    }
)
CITIES = ["Paris", "Rome", "", "a_b", "50%"]
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.datetimes(datetime(2028, 1, 1), datetime(2028, 12, 31)).map(  # noqa: DTZ001
                lambda at: at.replace(tzinfo=UTC)
            ),
            "city": st.none() | st.sampled_from(CITIES),
            "paid": st.none() | st.booleans(),
            "amount": st.none() | st.decimals(-99, 99, places=4),
            "n": st.none() | st.integers(-3, 3),
        }
    ),
    min_size=1,
    max_size=25,
)
TESTS: st.SearchStrategy[Filter] = st.one_of(
    st.builds(
        Compare,
        st.just("city"),
        st.sampled_from([Operator.EQ, Operator.NE]),
        st.sampled_from(CITIES),
    ),
    st.builds(Compare, st.just("n"), st.sampled_from(Operator), st.integers(-3, 3).map(Decimal)),
    st.builds(Compare, st.just("paid"), st.just(Operator.EQ), st.booleans()),
    st.builds(
        Among, st.just("city"), st.lists(st.sampled_from(CITIES), min_size=1, max_size=3).map(tuple)
    ),
    st.builds(Like, st.just("city"), st.sampled_from(["P%", "%a%", "_____", "a_b", "%"])),
    st.builds(IsNull, st.sampled_from(["city", "n", "paid"])),
)
FILTERS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Some, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "America/Sao_Paulo"]
# Each example commits a table, and asks DuckDB.
QUIET = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
METRIC = Metric.model_validate(
    {
        "description": "",
        "table": "t",
        "time": "at",
        "measure": {"function": "sum", "column": "amount"},
        "dimensions": ["city", "paid", "n"],
    }
)


def holds(found: Filter, row: Row) -> bool | None:
    """What a filter comes to, in the three values of SQL."""
    match found:
        case Compare(name, operator, value):
            return None if row[name] is None else compared(row[name], operator, value)
        case Among(name, values):
            return None if row[name] is None else row[name] in values
        case Like(name, pattern):
            if row[name] is None:
                return None
            parts = [{"%": ".*", "_": "."}.get(sign, re.escape(sign)) for sign in pattern]
            return re.fullmatch("".join(parts), row[name], re.DOTALL) is not None
        case IsNull(name):
            return row[name] is None
        case Not(of):
            inner = holds(of, row)
            return None if inner is None else not inner
        case All(parts):
            return least([holds(part, row) for part in parts])
        case Some(parts):
            inner = least([None if (h := holds(p, row)) is None else not h for p in parts])
            return None if inner is None else not inner


def least(found: list[bool | None]) -> bool | None:
    return False if False in found else None if None in found else True


def compared(one: Any, operator: Operator, other: Any) -> bool:
    return bool(
        {
            Operator.EQ: one == other,
            Operator.NE: one != other,
            Operator.LT: operator is Operator.LT and one < other,
            Operator.LE: operator is Operator.LE and one <= other,
            Operator.GT: operator is Operator.GT and one > other,
            Operator.GE: operator is Operator.GE and one >= other,
        }[operator]
    )


Answered = Callable[[list[Row], MetricQuery | RowQuery], list[Row]]


@pytest.fixture(params=["lake", "warehouse"])
def answered(request: pytest.FixtureRequest, commit: Commit) -> Answered:
    """Answers a question over rows, wherever they are."""

    def by_the_lake(rows: list[Row], query: MetricQuery | RowQuery) -> list[Row]:
        with tempfile.TemporaryDirectory() as folder:
            lake = Lake.open(folder)
            commit(lake, "t", table_of(rows))
            with open_tables(lake, threads=1) as tables:
                return answer(tables, query)

    def by_the_warehouse(rows: list[Row], query: MetricQuery | RowQuery) -> list[Row]:
        house.commit("t", table_of(rows), replace=True)
        with open_warehouse(house.url, ["t"], seconds=30) as tables:
            return answer(tables, query)

    if request.param == "lake":
        return by_the_lake
    house = request.getfixturevalue("warehouse")
    return by_the_warehouse


def table_of(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMA)


def answer(tables: Tables, query: MetricQuery | RowQuery) -> list[Row]:
    found = tables.page(query, {"t": tables.version("t")}, Part(100_000))
    return [dict(row) for row in found.to_pylist()]


@QUIET
@given(rows=ROWS, where=FILTERS)
def test_a_filter_keeps_the_rows_that_it_is_true_for(
    answered: Answered, rows: list[Row], where: Filter
) -> None:
    found = answered(rows, RowQuery("t", tuple(SCHEMA.names), where))

    assert [{name: row[name] for name in SCHEMA.names} for row in found] == [
        row for row in rows if holds(where, row) is True
    ]


@QUIET
@given(
    rows=ROWS,
    where=st.none() | FILTERS,
    grain=st.sampled_from(Grain),
    zone=st.sampled_from(ZONES),
    by=st.lists(st.sampled_from(["city", "paid"]), unique=True).map(tuple),
)
def test_sums_are_what_python_computes_in_every_zone(
    answered: Answered,
    rows: list[Row],
    where: Filter | None,
    grain: Grain,
    zone: str,
    by: tuple[str, ...],
) -> None:
    sums: dict[tuple[Any, ...], Decimal | None] = {}
    for row in rows:
        if where is None or holds(where, row) is True:
            key = (grain.floor(row["at"], ZoneInfo(zone)), *(row[name] for name in by))
            sums.setdefault(key, None)
            if row["amount"] is not None:
                sums[key] = (sums[key] or Decimal(0)) + row["amount"]

    query = MetricQuery({"amount_sum": METRIC}, grain=grain, zone=zone, by=by, where=where)
    found = answered(rows, query)

    assert {(row["time"], *(row[name] for name in by)): row["amount_sum"] for row in found} == sums
    assert len(found) == len(sums)


@QUIET
@given(rows=ROWS, zone=st.sampled_from(ZONES), by=st.sampled_from([(), ("city",)]))
def test_every_bucket_is_filled_once_for_every_group(
    answered: Answered, rows: list[Row], zone: str, by: tuple[str, ...]
) -> None:
    start, end = datetime(2028, 3, 1, tzinfo=UTC), datetime(2028, 11, 15, tzinfo=UTC)
    query = MetricQuery(
        {"amount_sum": METRIC}, start, end, Grain.MONTH, zone, by=by, fill=Fill.ZERO
    )
    within = [row for row in rows if start <= row["at"] < end]
    sums: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for row in within:
        key = (Grain.MONTH.floor(row["at"], ZoneInfo(zone)), *(row[name] for name in by))
        sums[key] += row["amount"] or 0

    found = answered(rows, query)

    groups = {tuple(row[name] for name in by) for row in within} or ({()} if not by else set())
    expected = {
        (bucket, *group): sums[(bucket, *group)] for bucket in query.buckets() for group in groups
    }
    assert {(r["time"], *(r[name] for name in by)): r["amount_sum"] for r in found} == expected


ORDERS = st.lists(
    st.builds(Order, st.sampled_from(SCHEMA.names), st.booleans()),
    max_size=3,
    unique_by=lambda order: order.column,
).map(tuple)


@QUIET
@given(rows=ROWS, order=ORDERS, limits=st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_a_walk_misses_nothing_and_shows_nothing_twice_while_versions_are_committed(
    commit: Commit, rows: list[Row], order: tuple[Order, ...], limits: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(folder)
        table = table_of(rows)
        commit(lake, "t", table)
        with open_tables(lake, threads=1) as tables:
            check_walk(tables, rows, order, limits, lambda: commit(lake, "t", table))


@QUIET
@given(rows=ROWS, order=ORDERS, limits=st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_so_does_a_walk_through_a_warehouse_until_its_table_moves_on(
    warehouse: Any, rows: list[Row], order: tuple[Order, ...], limits: list[int]
) -> None:
    warehouse.commit("t", table_of(rows), replace=True)
    with open_warehouse(warehouse.url, ["t"], seconds=30) as tables:
        check_walk(tables, rows, order, limits, lambda: None)
        if len(rows) > limits[0]:
            moved_on = partial(warehouse.commit, "t", table_of(rows))
            with pytest.raises(VersionGone):
                check_walk(tables, rows, order, limits, moved_on)


def check_walk(
    tables: Tables,
    rows: list[Row],
    order: tuple[Order, ...],
    limits: list[int],
    between: Callable[[], object],
) -> None:
    ask, query = Ask(tables, CURSORS), RowQuery("t", tuple(SCHEMA.names), None, order)
    first = Asked(query, ask.versions(["t"], None), Part(1000))
    whole = ask.page(first, NOW).rows.to_pylist()
    forwards, backwards = walk(ask, first, limits, between)

    assert sorted(map(told, whole)) == sorted(map(told, rows))
    assert forwards == whole
    assert backwards == whole


def told(row: Row) -> str:
    return repr([str(row[name]) for name in SCHEMA.names])


def walk(
    ask: Ask, first: Asked, limits: list[int], between: Callable[[], object]
) -> tuple[list[Row], list[Row]]:
    """All rows, page by page to the end, and from there back."""
    page = ask.page(Asked(first.query, first.versions, Part(limits[0])), NOW)
    forwards, number = page.rows.to_pylist(), 0
    while page.next:
        number += 1
        between()
        now = Asked(first.query, ask.versions(["t"], None), Part(limits[number % len(limits)]))
        page = ask.page(ask.placed(now, page.next, NOW), NOW)
        forwards += page.rows.to_pylist()
    backwards = page.rows.to_pylist()
    while page.prev:
        now = Asked(first.query, ask.versions(["t"], None), Part(limits[0]))
        page = ask.page(ask.placed(now, page.prev, NOW), NOW)
        backwards = page.rows.to_pylist() + backwards
    return forwards, backwards
