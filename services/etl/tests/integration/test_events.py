"""The source `events`: what it reads from the log, and how it reads the data."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from triptych.core.domain.event import Event
from triptych.database.engine import open_database, writing
from triptych.database.schema import migrate
from triptych.etl.application.ports import Reading, Resources
from triptych.etl.domain.relation import named
from triptych.etl.infrastructure.engines.duckdb import DuckDb
from triptych.etl.infrastructure.memory import SqlMemory
from triptych.etl.infrastructure.sources.events import Events
from triptych.eventlog.log import SCHEMA, EventLogReader, append
from triptych.lake.lake import Lake
from triptych.testing.builders import NOON, an_event

Happen = Callable[..., Reading]


@pytest.fixture
def happen(database: str, tmp_path: Path) -> Iterator[Happen]:
    """Append events to the log; what a source reads them from."""
    engine = open_database(database, create=True)
    migrate(engine, [SCHEMA])
    memory = SqlMemory(engine, "test")
    lake = Lake.open(str(tmp_path / "lake"))
    reading = Reading(
        Resources(lake, tmp_path, lambda: EventLogReader(engine), lambda _: memory), memory
    )

    def append_all(*events: Event) -> Reading:
        with writing(engine) as connection:
            append(connection, [event.document for event in events], NOON)
        return reading

    yield append_all
    engine.dispose()


def a_source(*types: str, **columns: Any) -> Events:
    return Events.model_validate(
        {"types": types or ["test.happened"], "columns": columns or {"n": "text"}}
    )


def positions(source: Events, reading: Reading, after: int, until: int) -> list[int]:
    batches = source.read(reading, after, until).batches
    return [number for batch in batches for number in batch.column("position").to_pylist()]


def decoded(source: Events, reading: Reading) -> list[dict[str, Any]]:
    """The rows as they are typed, each with the rules that it breaks as `faults`."""
    with DuckDb().open() as engine:
        rows = source.read(reading, 0, source.newest(reading, 0))
        raw = engine.load("input", rows, "source")
        rules = list(source.rules(raw))
        judged = [named(rule.holds, rule.fault) for rule in rules]
        found = engine.stream(source.decode(raw).select(*judged), "source")
        table = pa.Table.from_batches(found.batches, found.schema)
    return [
        {**row, "faults": [rule.fault for rule in rules if not row[rule.fault]]}
        for row in sorted(table.to_pylist(), key=lambda row: row["_row"])
    ]


def test_an_empty_log_has_nothing_new(happen: Happen) -> None:
    assert a_source().newest(happen(), 0) == 0


def test_only_the_wanted_types_are_read_in_their_order(happen: Happen) -> None:
    reading = happen(
        an_event(id="1", type="b"), an_event(id="2", type="a"), an_event(id="3", type="c")
    )

    assert positions(a_source("a", "b"), reading, 0, 3) == [1, 2]


def test_rows_are_read_after_one_position_and_up_to_another(happen: Happen) -> None:
    reading = happen(*(an_event(id=str(number)) for number in range(5)))

    assert positions(a_source(), reading, 1, 3) == [2, 3]
    assert positions(a_source(), reading, 3, 3) == []


def test_the_newest_position_counts_every_type(happen: Happen) -> None:
    reading = happen(an_event(id="1", type="a"), an_event(id="2", type="b"))

    assert a_source("a").newest(reading, 0) == 2


def test_the_attributes_of_the_event_are_columns(happen: Happen) -> None:
    reading = happen(an_event(id="7", subject="s", time=NOON), an_event(id="8", time=None))

    first, second = decoded(a_source(), reading)

    attributes = {name: value for name, value in first.items() if name.startswith("event_")}
    assert attributes == {
        "event_id": "7",
        "event_source": "urn:test",
        "event_type": "test.happened",
        "event_subject": "s",
        "event_time": NOON,
    }
    assert (second["event_time"], second["event_subject"]) == (None, None)


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("text", "naïve", "naïve"),
        ("text", 5, "5"),
        ("text", {"a": 1}, '{"a":1}'),
        ("integer", 7, 7),
        ("integer", "-7", -7),
        ("integer", 7.0, 7),
        ("decimal(18, 4)", "1.2340000", Decimal("1.2340")),
        ("bigint", 2**40, 2**40),
        ("double", 2.5, 2.5),
        ("boolean", True, True),
        ("date", "2030-01-31", date(2030, 1, 31)),
        ("timestamptz", "2030-01-31T12:00:00+02:00", datetime(2030, 1, 31, 10, tzinfo=UTC)),
        ("decimal(18, 4)", "3.5000", Decimal("3.5000")),
        ("decimal(18, 4)", 12345678901234.5, Decimal("12345678901234.5000")),
    ],
)
def test_a_member_of_the_data_is_read_as_its_type(
    happen: Happen, kind: str, given: Any, value: Any
) -> None:
    reading = happen(an_event(data={"m": given}))

    [row] = decoded(a_source(m=kind), reading)

    assert (row["m"], row["faults"]) == (value, [])


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("integer", "many"),
        ("integer", ""),
        ("integer", "null"),
        ("integer", True),
        ("integer", {"a": 1}),
        ("integer", 2**31),
        ("integer", "2.5"),
        ("integer", 2.5),
        ("integer", " 5 "),
        ("integer", "0x1F"),
        ("integer", "1_000"),
        ("decimal(18, 4)", "1.23456"),
        ("bigint", "9223372036854775808"),
        ("decimal(18, 4)", "NaN"),
        ("decimal(18, 4)", "123456789012345.0"),
        ("date", "2030-02-30"),
        ("timestamptz", "noon"),
        ("boolean", "perhaps"),
    ],
)
def test_what_is_not_of_its_type_is_a_fault(happen: Happen, kind: str, given: Any) -> None:
    reading = happen(an_event(data={"m": given}))

    [row] = decoded(a_source(m=kind), reading)

    assert row["faults"] == [f"m is no {kind}"]


@pytest.mark.parametrize(
    "data",
    [{}, {"m": None}, {"other": 1}, None, [], [{"m": 1}], "m", 5, b"\x00binary"],
    ids=["empty", "null", "other", "none", "array", "array-of-objects", "text", "number", "bytes"],
)
def test_an_absent_member_is_no_fault(happen: Happen, data: Any) -> None:
    reading = happen(an_event(data=data))

    [row] = decoded(a_source(m="integer"), reading)

    assert (row["m"], row["faults"]) == (None, [])


def test_a_pointer_leads_into_nested_data(happen: Happen) -> None:
    reading = happen(an_event(data={"customer": {"post-code": "75001"}}))

    [row] = decoded(a_source(code={"type": "text", "at": "/customer/post-code"}), reading)

    assert row["code"] == "75001"


def test_members_are_told_apart_by_case(happen: Happen) -> None:
    reading = happen(an_event(data={"M": 1, "m": 2}))

    [row] = decoded(a_source(m="integer"), reading)

    assert row["m"] == 2
