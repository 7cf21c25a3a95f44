"""How the rows of a run meet those of earlier ones, in a table of the lake."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from triptych.etl.application.ports import Batches, Engine, QueryFailed, Resources, Writing
from triptych.etl.domain.faults import faults, judged
from triptych.etl.infrastructure.engines.duckdb import DuckDb
from triptych.etl.infrastructure.sinks.lake import LakeSink
from triptych.lake.change import Progress
from triptych.lake.errors import ConcurrentCommit, SchemaChanged
from triptych.lake.lake import Lake

Rows = list[dict[str, Any]]
DAY = datetime(2030, 1, 1, tzinfo=UTC)
NOTHING = cast("Any", None)


class World:
    """A lake, and an engine that writes to it."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.resources = Resources(Lake.open(str(folder)), folder, NOTHING, NOTHING)
        self.engine = engine
        self.position = 0

    def write(self, sink: LakeSink, rows: pa.Table) -> int:
        loaded = self.engine.load("rows", Batches(rows.schema, rows.to_batches()), "source")
        progress = Progress("etl:test", self.position, self.position + 1)
        staged = sink.stage(Writing(self.resources, self.engine), loaded, progress)
        assert staged.rows == rows.num_rows
        version = staged.commit({})
        self.position += 1
        return version

    def rows(self, table: str = "t") -> Rows:
        files = self.resources.lake.table(table).snapshot().files
        rows = [row for file in files for row in pq.read_table(file).to_pylist()]
        return sorted(rows, key=lambda row: tuple(str(value) for value in row.values()))

    def faults(self, sink: LakeSink, rows: pa.Table) -> list[str]:
        loaded = self.engine.load("rows", Batches(rows.schema, rows.to_batches()), "source")
        rules = list(sink.rules(self.resources, loaded))
        told = self.engine.table("told", judged(loaded, rules), "rules")
        found = self.engine.stream(faults(told), "faults")
        return sorted(pa.Table.from_batches(found.batches, found.schema).column(0).to_pylist())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with DuckDb().open() as engine:
        yield World(tmp_path, engine)


def a_sink(**configuration: Any) -> LakeSink:
    return LakeSink.model_validate({"table": "t", **configuration})


def days(*values: tuple[str, int]) -> pa.Table:
    return pa.table({"day": [day for day, _ in values], "n": [n for _, n in values]})


def test_replace_leaves_the_new_rows_alone(world: World) -> None:
    sink = a_sink(mode="replace")
    world.write(sink, days(("mon", 1)))

    world.write(sink, days(("tue", 2)))

    assert world.rows() == [{"day": "tue", "n": 2}]


def test_replace_partitions_leaves_the_other_partitions(world: World) -> None:
    sink = a_sink(mode="replace_partitions", partition_by=["day"])
    world.write(sink, days(("mon", 1), ("tue", 2), ("tue", 3)))

    world.write(sink, days(("tue", 4)))

    assert world.rows() == [{"day": "mon", "n": 1}, {"day": "tue", "n": 4}]


def test_merge_changes_the_rows_that_are_there_and_adds_the_others(world: World) -> None:
    sink = a_sink(mode="merge", keys=["day"])
    world.write(sink, days(("mon", 1), ("tue", 2)))

    world.write(sink, days(("tue", 3), ("wed", 4)))

    assert world.rows() == [
        {"day": "mon", "n": 1},
        {"day": "tue", "n": 3},
        {"day": "wed", "n": 4},
    ]


def test_merge_cannot_choose_between_two_rows_with_one_key(world: World) -> None:
    with pytest.raises(QueryFailed, match="several rows have the same day"):
        world.write(a_sink(mode="merge", keys=["day"]), days(("mon", 1), ("mon", 2)))


def test_merge_computes_from_the_newest_version_or_not_at_all(world: World) -> None:
    sink = a_sink(mode="merge", keys=["day"])
    world.write(sink, days(("mon", 1)))
    rows = days(("tue", 2))
    loaded = world.engine.load("slow", Batches(rows.schema, rows.to_batches()), "source")
    staged = sink.stage(Writing(world.resources, world.engine), loaded, Progress("other", 0, 1))
    world.write(sink, days(("wed", 3)))

    with pytest.raises(ConcurrentCommit):
        staged.commit({})

    assert [row["day"] for row in world.rows()] == ["mon", "wed"]


def test_a_divided_table_is_merged_and_stays_divided(world: World) -> None:
    sink = a_sink(mode="merge", keys=["n"], partition_by=["day"])
    world.write(sink, days(("mon", 1), ("tue", 2)))

    world.write(sink, days(("wed", 1)))

    assert world.rows() == [{"day": "tue", "n": 2}, {"day": "wed", "n": 1}]
    stored = world.resources.lake.table("t").snapshot().stored
    assert {file.partition for file in stored} == {(("day", "tue"),), (("day", "wed"),)}


def cities(*values: tuple[str, int, str]) -> pa.Table:
    at = pa.array([DAY + timedelta(days=day) for _, day, _ in values], pa.timestamp("us", tz="UTC"))
    return pa.table({"who": [v[0] for v in values], "at": at, "city": [v[2] for v in values]})


HISTORY = {"mode": "scd2", "keys": ["who"], "at": "at"}


def spans(world: World) -> list[tuple[str, str, int, int | None, bool]]:
    def day(value: datetime | None) -> int | None:
        return None if value is None else (value - DAY).days

    return sorted(
        (
            row["who"],
            row["city"],
            day(row["valid_from"]) or 0,
            day(row["valid_to"]),
            row["is_current"],
        )
        for row in world.rows()
    )


def test_a_history_tells_from_when_to_when_each_version_held(world: World) -> None:
    sink = a_sink(**HISTORY)
    world.write(sink, cities(("ann", 0, "York"), ("bob", 0, "Bath")))

    world.write(sink, cities(("ann", 5, "Hull"), ("bob", 5, "Bath")))

    assert spans(world) == [
        ("ann", "Hull", 5, None, True),
        ("ann", "York", 0, 5, False),
        ("bob", "Bath", 0, None, True),
    ]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_history_is_what_python_computes_even_if_rows_come_late(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    facts = data.draw(
        st.lists(
            st.tuples(st.sampled_from("ab"), st.integers(0, 6), st.sampled_from(["York", "Hull"])),
            min_size=1,
            max_size=8,
            unique_by=lambda fact: fact[:2],
        )
    )
    cut = data.draw(st.integers(0, len(facts)))
    known: list[tuple[str, int, str]] = []

    with DuckDb().open() as engine:
        world = World(tmp_path_factory.mktemp("world"), engine)
        for part in (facts[:cut], facts[cut:]):
            if part:
                world.write(a_sink(**HISTORY), cities(*part))
                versions = computed([*known, *part])
                known = [(who, begin, city) for who, city, begin, _, _ in versions]

                assert spans(world) == versions


def computed(facts: list[tuple[str, int, str]]) -> list[tuple[str, str, int, int | None, bool]]:
    found: list[tuple[str, str, int, int | None, bool]] = []
    for who in {fact[0] for fact in facts}:
        known = sorted((day, city) for name, day, city in facts if name == who)
        changes = [
            (day, city)
            for number, (day, city) in enumerate(known)
            if number == 0 or known[number - 1][1] != city
        ]
        ends = [day for day, _ in changes[1:]] + [None]
        found += [
            (who, city, day, end, end is None)
            for (day, city), end in zip(changes, ends, strict=True)
        ]
    return sorted(found)


WIDER = pa.table({"day": ["tue"], "n": [2], "note": ["new"]})


def test_columns_are_frozen_unless_they_may_change(world: World) -> None:
    world.write(a_sink(), days(("mon", 1)))

    for rows in (WIDER, pa.table({"day": ["x"]}), pa.table({"day": ["x"], "n": ["1"]})):
        with pytest.raises(SchemaChanged):
            world.write(a_sink(), rows)

    assert world.rows() == [{"day": "mon", "n": 1}]
    assert len(list(world.resources.lake.root.rglob("*.parquet"))) == 1


@pytest.mark.parametrize("mode", [{}, {"mode": "merge", "keys": ["day"]}])
def test_a_table_evolves_and_rows_without_a_column_have_none(
    world: World, mode: dict[str, Any]
) -> None:
    sink = a_sink(schema="evolve", **mode)
    world.write(sink, days(("mon", 1)))
    world.write(sink, WIDER)
    world.write(sink, pa.table({"day": ["wed"], "n": pa.array([3], pa.int32())}))

    schema = world.resources.lake.table("t").snapshot().schema
    assert schema.field("n").type == pa.int64()
    assert [(row["day"], row["n"], row.get("note")) for row in world.rows()] == [
        ("mon", 1, None),
        ("tue", 2, "new"),
        ("wed", 3, None),
    ]


def test_no_table_evolves_to_another_type(world: World) -> None:
    sink = a_sink(schema="evolve")
    world.write(sink, days(("mon", 1)))

    with pytest.raises(SchemaChanged, match="'t': n"):
        world.write(sink, pa.table({"day": ["x"], "n": ["many"]}))


def test_rows_that_the_table_has_no_place_for_are_set_aside(world: World) -> None:
    sink = a_sink(schema="quarantine")
    world.write(sink, days(("mon", 1)))
    rows = pa.table({"day": ["a", "b", "c"], "n": ["2", "many", None], "note": [None, None, "x"]})

    assert world.faults(sink, rows) == [
        "n is no bigint, as in the table",
        "the table has no column note",
    ]

    world.write(sink, rows.slice(0, 1))
    assert world.rows() == [{"day": "a", "n": 2}, {"day": "mon", "n": 1}]


def test_a_row_without_its_key_is_set_aside(world: World) -> None:
    sink = a_sink(mode="merge", keys=["day"])

    assert world.faults(sink, pa.table({"day": ["a", None], "n": [1, 2]})) == ["day is missing"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "merge"},
        {"keys": ["a"]},
        {"mode": "scd2", "keys": ["a"]},
        {"at": "a"},
        {"mode": "replace_partitions"},
        {"mode": "upsert"},
        {"table": "../t"},
    ],
)
def test_a_sink_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_sink(**wrong)
