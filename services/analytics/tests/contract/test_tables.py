"""What everything that computes metrics over tables promises, whichever it is."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from triptych.analytics.application.ports import Part, Tables
from triptych.analytics.domain.columns import Cell
from triptych.analytics.domain.metric import Metric
from triptych.analytics.domain.query import MetricQuery, Order, RowQuery
from triptych.analytics.infrastructure.lake import open_tables
from triptych.analytics.infrastructure.paging import BATCH_ROWS
from triptych.analytics.infrastructure.warehouse import open_warehouse
from triptych.core.domain.time import Grain
from triptych.core.errors import Kind, TriptychError
from triptych.lake.lake import Lake

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

SCHEMA = pa.schema(
    {
        "at": pa.timestamp("us", tz="UTC"),
        "amount": pa.decimal128(18, 4),
        "number": pa.int64(),
        "city": pa.string(),
        "paid": pa.bool_(),
        "order": pa.string(),
        "day": pa.date32(),
    }
)


@dataclass(frozen=True)
class Row:
    """One number: of a bucket and of one value of each dimension."""

    time: datetime | None
    dimensions: tuple[Cell, ...]
    value: Cell


@dataclass(frozen=True)
class Answer:
    """What was found, and in which version."""

    version: int
    rows: tuple[Row, ...]
    truncated: bool


@dataclass(frozen=True)
class Subject:
    """Tables, and how a test fills them."""

    tables: Tables
    commit: Callable[[str, pa.Table], int]

    def add(self, *rows: dict[str, Any]) -> int:
        """Commit rows to the table `t`; a column that is left out has a default. The version."""
        defaults = {"at": NOON, "amount": Decimal(1), "number": 1, "city": "Paris", "paid": True}
        defaults |= {"day": date(2030, 1, 1)}
        columns = [{"order": "x", **defaults, **row} for row in rows]
        return self.commit("t", pa.Table.from_pylist(columns, schema=SCHEMA))

    def ask(self, function: str = "count", column: str | None = None, **query: Any) -> Answer:
        return self.ask_for(a_metric(function, column), **query)

    def ask_for(self, metric: Metric, *, limit: int = 1000, **query: Any) -> Answer:
        asked = MetricQuery({"value": metric}, **query)
        versions = {name: self.tables.version(name) for name in asked.tables}
        found = self.tables.page(asked, versions, Part(limit))
        rows = [
            Row(row.get("time"), tuple(row[name] for name in asked.by), row["value"])
            for row in found.to_pylist()
        ]
        return Answer(versions["t"].version, tuple(rows[:limit]), len(rows) > limit)


def a_metric(function: str = "count", column: str | None = None, **parts: Any) -> Metric:
    return Metric.model_validate(
        {
            "description": "A number.",
            "table": "t",
            "time": "at",
            "measure": {"function": function, "column": column},
            "dimensions": ["city", "paid", "order", "day"],
            **parts,
        }
    )


def by_time(answer: Answer) -> dict[datetime | None, Cell]:
    return {row.time: row.value for row in answer.rows}


def by_dimensions(answer: Answer) -> dict[tuple[Cell, ...], Cell]:
    return {row.dimensions: row.value for row in answer.rows}


@pytest.fixture
def lake_tables(lake: Lake, commit: Callable[[Lake, str, pa.Table], int]) -> Iterator[Subject]:
    with open_tables(lake) as tables:
        yield Subject(tables, lambda name, rows: commit(lake, name, rows))


@pytest.fixture
def warehouse_tables(warehouse: Any) -> Iterator[Subject]:
    with open_warehouse(warehouse.url, ["t"], seconds=30) as tables:
        yield Subject(tables, warehouse.commit)


@pytest.fixture(params=["lake_tables", "warehouse_tables"])
def subject(request: pytest.FixtureRequest) -> Subject:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Subject)
    return found


@pytest.mark.parametrize(
    ("function", "column", "value"),
    [
        ("sum", "number", 12),
        ("sum", "amount", Decimal("6.6000")),
        ("count", None, 3),
        ("count", "number", 3),
        ("average", "number", 4),
        ("minimum", "number", 1),
        ("maximum", "number", 9),
        ("minimum", "amount", Decimal("1.1000")),
        ("maximum", "amount", Decimal("3.3000")),
        ("minimum", "at", NOON),
        ("maximum", "day", date(2030, 1, 1)),
    ],
)
def test_rows_become_one_number(
    subject: Subject, function: str, column: str | None, value: Cell
) -> None:
    subject.add(
        {"number": 1, "amount": Decimal("2.2")},
        {"number": 9, "amount": Decimal("1.1")},
        {"number": 2, "amount": Decimal("3.3")},
    )

    answer = subject.ask(function, column)

    assert [row.value for row in answer.rows] == [value]


@pytest.mark.parametrize("function", ["sum", "average", "minimum", "maximum"])
def test_values_that_are_missing_do_not_count(subject: Subject, function: str) -> None:
    subject.add({"number": None}, {"number": 4}, {"number": None})

    assert by_dimensions(subject.ask(function, "number", by=("city",))) == {("Paris",): 4}


def test_a_count_over_a_column_counts_its_values(subject: Subject) -> None:
    subject.add({"number": None}, {"number": 4})

    assert by_dimensions(subject.ask("count", "number", by=("city",))) == {("Paris",): 1}


@pytest.mark.parametrize(
    "amounts",
    [["0.1"] * 10, ["12345678901234.5678", "0.0001"], ["99999999999999.9999"] * 3, ["-0.1", "0.1"]],
)
def test_decimals_are_exact(subject: Subject, amounts: list[str]) -> None:
    subject.add(*({"amount": Decimal(amount)} for amount in amounts))

    [row] = subject.ask("sum", "amount").rows

    assert isinstance(row.value, Decimal)
    assert row.value == sum(map(Decimal, amounts))


@pytest.mark.parametrize("grain", Grain)
def test_buckets_begin_where_the_calendar_in_utc_says(subject: Subject, grain: Grain) -> None:
    moments = [
        datetime(2027, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(2028, 2, 29, 0, 30, 30, tzinfo=UTC),
        datetime(2028, 3, 26, 0, 59, tzinfo=UTC),
        datetime(2028, 3, 26, 1, 1, tzinfo=UTC),
        datetime(2028, 4, 1, tzinfo=UTC),
    ]
    subject.add(*({"at": at} for at in moments))

    answer = subject.ask(grain=grain)

    starts = [grain.floor(at) for at in moments]
    assert by_time(answer) == {start: starts.count(start) for start in starts}


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"start": NOON}, 1 + 2),
        ({"end": NOON}, 4),
        ({"start": NOON, "end": NOON + HOUR}, 1),
        ({"start": NOON - HOUR, "end": NOON + 2 * HOUR}, 4 + 1 + 2),
        ({"start": NOON + timedelta(microseconds=1)}, 2),
    ],
    ids=["from", "to", "from-to", "all", "a-microsecond-later"],
)
def test_the_start_of_a_range_counts_and_its_end_does_not(
    subject: Subject, query: dict[str, Any], numbers: int
) -> None:
    subject.add(
        {"at": NOON - HOUR, "number": 4},
        {"at": NOON, "number": 1},
        {"at": NOON + HOUR, "number": 2},
    )

    [row] = subject.ask("sum", "number", **query).rows

    assert row.value == numbers


def test_buckets_without_rows_are_left_out(subject: Subject) -> None:
    subject.add({"at": NOON}, {"at": NOON + 3 * HOUR})

    assert by_time(subject.ask(grain=Grain.HOUR)) == {NOON: 1, NOON + 3 * HOUR: 1}


def test_a_range_without_rows_has_no_buckets(subject: Subject) -> None:
    subject.add({"at": NOON})

    assert subject.ask(grain=Grain.DAY, start=NOON + HOUR).rows == ()


def test_without_a_grain_there_is_one_bucket_for_all_time(subject: Subject) -> None:
    subject.add({"at": NOON}, {"at": NOON + timedelta(days=400)})

    [row] = subject.ask("sum", "number").rows

    assert (row.time, row.dimensions, row.value) == (None, (), 2)


def test_rows_without_a_time_have_a_bucket_of_their_own(subject: Subject) -> None:
    subject.add({"at": None}, {"at": NOON})

    assert by_time(subject.ask(grain=Grain.HOUR)) == {NOON: 1, None: 1}


def test_several_dimensions_are_told_in_the_order_of_the_question(subject: Subject) -> None:
    subject.add({"city": "Paris", "paid": True}, {"city": "Rome", "paid": False})

    answer = subject.ask(by=("paid", "city"))

    assert by_dimensions(answer) == {(False, "Rome"): 1, (True, "Paris"): 1}


def test_a_dimension_may_be_named_like_a_keyword(subject: Subject) -> None:
    subject.add({"order": "a"}, {"order": "b"}, {"order": "b"})

    assert by_dimensions(subject.ask(by=("order",))) == {("a",): 1, ("b",): 2}


def test_a_dimension_without_a_value_is_a_group(subject: Subject) -> None:
    subject.add({"city": None}, {"city": "Rome"}, {"city": None})

    assert by_dimensions(subject.ask(by=("city",))) == {("Rome",): 1, (None,): 2}


def test_answers_are_in_the_order_of_time_and_dimensions(subject: Subject) -> None:
    subject.add(
        {"at": NOON + HOUR, "city": "Rome"},
        {"at": NOON, "city": "Rome"},
        {"at": NOON + HOUR, "city": "Paris"},
        {"at": NOON, "city": "Paris"},
    )

    answer = subject.ask(grain=Grain.HOUR, by=("city",))

    assert [(row.time, *row.dimensions) for row in answer.rows] == [
        (NOON, "Paris"),
        (NOON, "Rome"),
        (NOON + HOUR, "Paris"),
        (NOON + HOUR, "Rome"),
    ]


@pytest.mark.parametrize(
    ("limit", "cities", "truncated"),
    [(1, ["Oslo"], True), (2, ["Oslo", "Paris"], True), (3, ["Oslo", "Paris", "Rome"], False)],
)
def test_an_answer_beyond_the_limit_is_cut_and_says_so(
    subject: Subject, limit: int, cities: list[str], truncated: bool
) -> None:
    subject.add({"city": "Rome"}, {"city": "Paris"}, {"city": "Oslo"})

    answer = subject.ask(by=("city",), limit=limit)

    assert [row.dimensions for row in answer.rows] == [(city,) for city in cities]
    assert answer.truncated is truncated


def test_the_newest_version_is_read(subject: Subject) -> None:
    first = subject.add({"number": 1})
    before = subject.ask("sum", "number")
    second = subject.add({"number": 2})

    after = subject.ask("sum", "number")

    assert (before.version, before.rows[0].value) == (first, 1)
    assert (after.version, after.rows[0].value) == (second, 3)


def test_a_table_that_does_not_exist_is_named(subject: Subject) -> None:
    with pytest.raises(TriptychError, match="'t'") as refusal:
        subject.ask()

    assert refusal.value.kind is Kind.NOT_FOUND


@pytest.mark.parametrize(
    "metric",
    [
        a_metric(time="nope"),
        a_metric("sum", "nope"),
        a_metric(dimensions=["city", "nope"]),
    ],
    ids=["time", "measure", "dimension"],
)
def test_a_column_that_the_table_lacks_is_named(subject: Subject, metric: Metric) -> None:
    subject.add({})

    with pytest.raises(TriptychError, match="'t' has no column 'nope'") as refusal:
        subject.ask_for(metric)

    assert refusal.value.kind is Kind.CONFLICT


def test_a_date_is_a_dimension_like_any_other(subject: Subject) -> None:
    subject.add({"day": date(2030, 1, 1)}, {"day": date(2030, 1, 2)}, {"day": date(2030, 1, 2)})

    answer = subject.ask(by=("day",))

    assert by_dimensions(answer) == {(date(2030, 1, 1),): 1, (date(2030, 1, 2),): 2}


def test_a_date_says_when_as_a_time_does(subject: Subject) -> None:
    subject.add({"day": date(2030, 1, 31)}, {"day": date(2030, 2, 1)}, {"day": date(2030, 2, 2)})

    answer = subject.ask_for(a_metric(time="day"), grain=Grain.MONTH, zone="Asia/Tokyo")

    assert by_time(answer) == {
        datetime(2030, 1, 1, tzinfo=UTC): 1,
        datetime(2030, 2, 1, tzinfo=UTC): 2,
    }


def test_a_table_that_has_no_rows_yet_answers_with_none(subject: Subject) -> None:
    version = subject.add()

    answer = subject.ask("sum", "number", grain=Grain.DAY)

    assert (answer.version, answer.rows, answer.truncated) == (version, (), False)


@pytest.mark.parametrize(
    "metric", [a_metric("sum", "city"), a_metric(time="city")], ids=["measure", "time"]
)
def test_a_column_of_an_unfit_type_is_a_conflict(subject: Subject, metric: Metric) -> None:
    subject.add({})

    with pytest.raises(TriptychError) as refusal:
        subject.ask_for(metric, grain=Grain.DAY)

    assert refusal.value.kind is Kind.CONFLICT


def test_many_may_ask_at_once(subject: Subject) -> None:
    subject.add(*({"number": number} for number in range(100)))

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: subject.ask("sum", "number"), range(32)))

    assert {row.value for answer in answers for row in answer.rows} == {4950}


@pytest.mark.parametrize("rows", [0, 1, 3, 25_000])
def test_a_stream_has_the_rows_of_a_page(subject: Subject, rows: int) -> None:
    subject.commit("t", numbers(rows))
    query, versions = RowQuery("t", ("number", "city")), {"t": subject.tables.version("t")}

    tables = list(subject.tables.stream(query, versions, Part(20_000)))

    assert len(tables) >= 1
    assert len({repr(table.schema) for table in tables}) == 1
    whole = pa.concat_tables(tables)
    assert whole.equals(subject.tables.page(query, versions, Part(20_000)).slice(0, 20_000))
    assert max(table.num_rows for table in tables) <= BATCH_ROWS


@pytest.mark.parametrize(("limit", "last"), [(1, 0), (2, 1), (3, None), (4, None)])
def test_the_last_key_is_told_if_there_is_more(
    subject: Subject, limit: int, last: int | None
) -> None:
    subject.commit("t", numbers(3))
    order = (Order("number", descending=False),)
    query, versions = RowQuery("t", ("number",), None, order), {"t": subject.tables.version("t")}

    found = subject.tables.last_key(query, versions, Part(limit))

    assert (found and found[0]) == last


def test_a_stream_of_an_unfit_column_is_a_conflict(subject: Subject) -> None:
    subject.add({})
    metric = a_metric("sum", "city")
    asked, versions = MetricQuery({"value": metric}), {"t": subject.tables.version("t")}

    with pytest.raises(TriptychError) as refusal:
        list(subject.tables.stream(asked, versions, Part(10)))

    assert refusal.value.kind is Kind.CONFLICT


def numbers(rows: int) -> pa.Table:
    """So many rows, of which each has another number."""
    columns = {
        name: pa.nulls(rows, field.type) for name, field in zip(SCHEMA.names, SCHEMA, strict=True)
    }
    return pa.table({**columns, "number": pa.array(range(rows), pa.int64())}, schema=SCHEMA)
