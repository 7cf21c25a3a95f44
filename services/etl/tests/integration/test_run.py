"""Runs of pipelines over a real event log into a real lake."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.core.domain.event import Event
from triptych.database.engine import open_database, writing
from triptych.database.schema import migrate, prepare
from triptych.etl.application.history import History, Report
from triptych.etl.application.pipeline import Pipeline, read_pipeline
from triptych.etl.application.ports import QueryFailed, Resources, Sink, Watcher, Writing
from triptych.etl.application.run import Run
from triptych.etl.domain.plugins import Effect
from triptych.etl.domain.reconciliation import NotReconciled, Reconciliation
from triptych.etl.domain.relation import Relation
from triptych.etl.infrastructure.engines.duckdb import DuckDb
from triptych.etl.infrastructure.memory import SqlMemory
from triptych.etl.infrastructure.plugins import InstalledPlugins
from triptych.etl.infrastructure.runs import SqlRuns
from triptych.etl.infrastructure.sinks.lake import LakeSink
from triptych.etl.infrastructure.sinks.staged import StagedFiles
from triptych.etl.infrastructure.tables import SCHEMAS
from triptych.eventlog.log import SCHEMA, EventLogReader, append
from triptych.lake.change import Change, Progress
from triptych.lake.errors import ConcurrentCommit, NoSuchTable
from triptych.lake.lake import Lake
from triptych.testing.builders import NOON, an_event

PIPELINE = """
version: 1
name: numbers
source:
  events:
    types: [test.happened]
    columns: {n: integer, name: text}
transforms:
  - filter: { where: n <> 0 }
  - derive: { columns: { double: n * 2 } }
checks:
  - not_null: { columns: [name] }
  - range: { column: n, max: 100 }
sink:
  lake: { table: numbers }
"""

Rows = list[dict[str, Any]]


def into(pipeline: Pipeline, sink: Sink, name: str = "numbers") -> Pipeline:
    """A pipeline of that name, into another sink."""
    [main] = pipeline.branches
    assert main.sink is not None
    branch = replace(main, sink=replace(main.sink, plugin=sink))
    file = pipeline.file.model_copy(update={"name": name})
    return replace(pipeline, file=file, branches=(branch,))


@dataclass(frozen=True)
class World:
    """An event log, a lake, and a pipeline between them."""

    engine: sa.Engine
    resources: Resources
    pipeline: Pipeline
    runs: SqlRuns

    def happen(self, *data: Any) -> None:
        """Append an event for each piece of data; their ids count on."""
        first = self.resources.events.newest() + 1
        events = [an_event(id=str(n), data=d) for n, d in enumerate(data, first)]
        self.append(*events)

    def append(self, *events: Event) -> None:
        with writing(self.engine) as connection:
            append(connection, [event.document for event in events], NOON)

    def run(self, pipeline: Pipeline | None = None) -> list[Report]:
        return Run(self.resources, DuckDb(), History(self.runs))(pipeline or self.pipeline)

    def rows(self, table: str = "numbers") -> Rows:
        """The rows of the newest version of a table, in the order of the events."""
        try:
            files = self.resources.lake.table(table).snapshot().files
        except NoSuchTable:
            return []
        rows = [row for file in files for row in pq.read_table(file).to_pylist()]
        return sorted(rows, key=lambda row: int(row.get("event_id") or row["position"]))


@contextmanager
def a_world(folder: Path, pipeline: str = PIPELINE) -> Iterator[World]:
    file = folder / "pipeline.yaml"
    file.write_text(pipeline)
    engine = open_database(f"sqlite:///{folder / 'eventlog.db'}", create=True)
    migrate(engine, [SCHEMA])
    prepare(engine, SCHEMAS)
    resources = Resources(
        Lake.open(str(folder / "lake")),
        folder / "files",
        lambda: EventLogReader(engine),
        lambda pipeline: SqlMemory(engine, pipeline),
    )
    yield World(engine, resources, read_pipeline(file, InstalledPlugins(), {}), SqlRuns(engine))
    engine.dispose()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


def counted(report: Report) -> tuple[int, int, int, int, int]:
    rows = report.rows
    return rows.read, rows.written, rows.quarantined, rows.filtered, rows.duplicates


def test_a_run_writes_the_rows_that_it_reads(world: World) -> None:
    world.happen({"n": 1, "name": "a"}, {"n": 2, "name": "b"})

    [report] = world.run()

    assert report.rows == Reconciliation(2, 2, 0, 0, 0)
    assert [(row["n"], row["name"], row["double"]) for row in world.rows()] == [
        (1, "a", 2),
        (2, "b", 4),
    ]


def test_the_table_has_the_events_attributes_and_none_of_the_frameworks_columns(
    world: World,
) -> None:
    world.happen({"n": 1, "name": "a"})

    world.run()

    [row] = world.rows()
    assert list(row) == [
        "event_id",
        "event_source",
        "event_type",
        "event_subject",
        "event_time",
        "n",
        "name",
        "double",
    ]


def test_a_second_run_reads_nothing(world: World) -> None:
    world.happen({"n": 1, "name": "a"})
    world.run()

    [report] = world.run()

    assert (counted(report), report.version) == ((0, 0, 0, 0, 0), None)
    assert len(world.rows()) == 1


def test_a_run_over_an_empty_log_makes_no_table(world: World) -> None:
    [report] = world.run()

    assert str(report).endswith("-> no change")
    assert world.resources.lake.names() == []


def test_only_new_events_are_added(world: World) -> None:
    world.happen({"n": 1, "name": "a"})
    [first] = world.run()
    world.happen({"n": 2, "name": "b"}, {"n": 3, "name": "c"})

    [second] = world.run()

    assert (second.rows.read, second.version) == (2, (first.version or 0) + 1)
    assert [row["n"] for row in world.rows()] == [1, 2, 3]


def test_events_of_other_types_are_passed_over(world: World) -> None:
    world.append(an_event(id="1", type="test.other"), an_event(id="2", data={"n": 1, "name": "a"}))

    [report] = world.run()

    assert report.rows.read == 1


def test_a_value_that_cannot_be_read_is_quarantined_with_its_reason_and_the_original(
    world: World,
) -> None:
    world.happen({"n": "many", "name": "a"}, {"n": 2, "name": "b"})

    [report] = world.run()

    assert counted(report) == (2, 1, 1, 0, 0)
    [row] = world.rows("numbers_quarantine")
    assert (row["position"], row["step"], row["reasons"]) == (1, "source events", "n is no integer")
    assert row["run_id"] == report.run_id
    original = orjson.loads(row["original"])
    assert (original["event_id"], original["data"]) == ("1", '{"n":"many","name":"a"}')


def test_a_row_that_breaks_checks_is_quarantined_with_every_reason(world: World) -> None:
    world.happen({"n": 101})

    world.run()

    [row] = world.rows("numbers_quarantine")
    assert (row["step"], row["reasons"]) == ("checks", "name is missing; n is more than 100")
    assert world.rows() == []


def test_a_filtered_row_is_counted_and_written_nowhere(world: World) -> None:
    world.happen({"n": 0, "name": "a"}, {"n": None, "name": "b"}, {"n": 1, "name": "c"})

    [report] = world.run()

    assert counted(report) == (3, 1, 0, 2, 0)
    assert len(world.rows()) == 1
    assert world.rows("numbers_quarantine") == []


def test_a_run_without_rows_to_write_is_not_read_again(world: World) -> None:
    world.happen({"n": 0, "name": "filtered"}, {"n": "faulty"})
    world.run()

    [report] = world.run()

    assert report.rows.read == 0
    assert len(world.rows("numbers_quarantine")) == 1


def test_the_rows_that_are_read_are_reported_meanwhile(world: World) -> None:
    world.happen({"n": 1, "name": "a"}, {"n": 2, "name": "b"})
    seen: list[int] = []

    Run(world.resources, DuckDb(), History(world.runs))(
        world.pipeline, Watcher(reading=seen.append)
    )

    assert sum(seen) == 2


def test_two_pipelines_read_the_same_events_each_for_itself(world: World) -> None:
    world.happen({"n": 1, "name": "a"})
    other = into(world.pipeline, LakeSink(table="other"), name="other")

    world.run()
    world.run(other)

    assert len(world.rows()) == len(world.rows("other")) == 1


def test_a_step_that_cannot_be_computed_writes_nothing(tmp_path: Path) -> None:
    with a_world(tmp_path, PIPELINE.replace("double: n * 2", "double: nope * 2")) as world:
        world.happen({"n": 1, "name": "a"}, {"n": "faulty"})

        with pytest.raises(
            QueryFailed, match=r'pipeline.yaml:10:5: transforms\[1\] derive: .*"nope"'
        ):
            world.run()

        assert world.resources.lake.names() == []


class Limit(LakeSink):
    """A sink that loses rows: it writes one at most."""

    def stage(self, writing: Writing, rows: Relation, progress: Progress) -> StagedFiles:
        some = writing.engine.view("some", rows.all().limit(1), "limit")
        return super().stage(writing, some, progress)


def test_a_run_that_loses_rows_fails_and_leaves_nothing(world: World) -> None:
    world.happen({"n": 1, "name": "a"}, {"n": 2, "name": "b"}, {"n": "faulty"})

    with pytest.raises(NotReconciled, match="3 read is not 1 written"):
        world.run(into(world.pipeline, Limit(table="numbers")))

    assert world.resources.lake.names() == []
    assert list(world.resources.lake.root.rglob("*.parquet")) == []


class FullDisk(LakeSink):
    """A sink that can write the quarantine, and then nothing more."""

    def stage(self, writing: Writing, rows: Relation, progress: Progress) -> StagedFiles:
        raise OSError("no space left on device")


def test_a_run_that_fails_after_it_wrote_leaves_nothing(world: World) -> None:
    world.happen({"n": 1, "name": "a"}, {"n": "faulty"})

    with pytest.raises(OSError, match="no space left"):
        world.run(into(world.pipeline, FullDisk(table="numbers")))

    assert list(world.resources.lake.root.rglob("*.parquet")) == []
    assert world.rows("numbers_quarantine") == []


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Dying(StagedFiles):
    """Rows that are never committed, because the process dies before."""

    def commit(self, notes: Mapping[str, str]) -> int:
        raise Killed


class DyingSink(LakeSink):
    """A sink whose process dies between the commit of the quarantine and that of the table."""

    def stage(self, writing: Writing, rows: Relation, progress: Progress) -> StagedFiles:
        staged = super().stage(writing, rows, progress)
        return Dying(staged.table, staged.change, staged.progress, staged.rows)


def die_between_the_commits(world: World) -> None:
    with pytest.raises(Killed):
        world.run(into(world.pipeline, DyingSink(table="numbers")))


def test_a_run_that_died_between_its_commits_is_finished_without_doubling(world: World) -> None:
    world.happen({"n": 1, "name": "a"}, {"n": "faulty"}, {"n": 0})
    die_between_the_commits(world)
    assert (len(world.rows()), len(world.rows("numbers_quarantine"))) == (0, 1)

    [finished] = world.run()

    assert counted(finished) == (3, 1, 1, 1, 0)
    assert [row["n"] for row in world.rows()] == [1]
    assert [row["position"] for row in world.rows("numbers_quarantine")] == [2]


def test_a_run_that_died_is_finished_before_newer_events_are_read(world: World) -> None:
    world.happen({"n": 1, "name": "a"}, {"n": "faulty"})
    die_between_the_commits(world)
    world.happen({"n": 2, "name": "b"}, {"n": "faulty, too"})

    finished, newer = world.run()

    assert (counted(finished), counted(newer)) == ((2, 1, 1, 0, 0), (2, 1, 1, 0, 0))
    assert [row["n"] for row in world.rows()] == [1, 2]
    assert [row["position"] for row in world.rows("numbers_quarantine")] == [2, 4]


@pytest.mark.parametrize("faulty", [[], [{"n": "faulty"}]], ids=["all-good", "with-quarantine"])
def test_of_two_runs_at_once_one_wins_and_every_row_is_there_once(
    world: World, faulty: list[Any]
) -> None:
    world.happen({"n": 1, "name": "a"}, {"n": 2, "name": "b"}, *faulty)
    others: list[Report] = []

    def meanwhile(_: int) -> None:
        if not others:  # another run begins and ends while this one is reading
            others.extend(world.run())

    with pytest.raises(ConcurrentCommit):
        Run(world.resources, DuckDb(), History(world.runs))(
            world.pipeline, Watcher(reading=meanwhile)
        )

    assert [report.rows.written for report in others] == [2]
    assert [row["n"] for row in world.rows()] == [1, 2]
    assert len(world.rows("numbers_quarantine")) == len(faulty)
    assert world.run()[0].rows.read == 0


def test_rows_that_a_slower_run_put_into_the_quarantine_meanwhile_are_not_put_there_again(
    world: World,
) -> None:
    world.happen({"n": "faulty"}, {"n": "faulty, too"})
    quarantine = world.resources.lake.table("numbers_quarantine")

    def meanwhile(_: int) -> None:  # another run, which began when there was one event
        progress = Progress(f"{world.pipeline.writer}/main", 0, 1)
        quarantine.commit(Change((), pa.schema([("position", pa.int64())])), [progress])

    with pytest.raises(ConcurrentCommit):
        Run(world.resources, DuckDb(), History(world.runs))(
            world.pipeline, Watcher(reading=meanwhile)
        )

    assert world.rows("numbers_quarantine") == []


INVOICES = """
version: 1
name: invoices
source:
  events:
    types: [test.happened]
    columns: {quantity: integer, unit_price: "decimal(18, 4)", country: text}
transforms:
  - filter: { where: quantity <> 0 }
  - derive: { columns: { revenue: quantity * unit_price } }
checks:
  - not_null: { columns: [revenue, country] }
  - range: { column: unit_price, min: 0, max: 1000 }
sink:
  lake: { table: invoices }
"""

ODD = st.sampled_from(["", "many", "1.2.3", "null", "NaN", True, [], {}, [1], {"a": 1}, "1e", "ü"])
QUANTITIES = st.integers(-(2**31), 2**31 - 1) | st.integers(-3, 3) | st.integers(2**31, 2**53)
PRICES = st.decimals(-10, 1500, places=4) | st.decimals(0, 5, places=2)


def either(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return usual | usual.map(str) | usual.map(str) | ODD | st.none()


def invoices() -> st.SearchStrategy[list[Any]]:
    """The data of invoices as they might come, odd ones among them."""
    members = {
        "quantity": either(QUANTITIES),
        "unit_price": either(PRICES.map(str)),
        "country": st.sampled_from(["France", "Spain", None]),
    }
    some = st.fixed_dictionaries({}, optional=members)
    invoice: st.SearchStrategy[Any] = some | st.sampled_from([None, [], "x", 5])
    return st.lists(invoice, max_size=8)


class Unreadable(Exception):
    """A value is not of its column's type."""


def an_integer(value: Any) -> int | None:
    if value is None:
        return None
    try:
        number = int(value) if isinstance(value, int | str) and value is not True else None
    except ValueError:
        number = None
    if number is None or not -(2**31) <= number < 2**31:
        raise Unreadable
    return number


def a_decimal(value: Any) -> Decimal | None:
    if value is None:
        return None
    try:
        number = Decimal(value) if isinstance(value, str) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise Unreadable
    return number


def computed(data: Any) -> dict[str, Any] | Effect | None:
    """What becomes of an invoice: a row, left out as filtered, or quarantined (`None`)."""
    members = data if isinstance(data, dict) else {}
    country = members.get("country")
    try:
        quantity = an_integer(members.get("quantity"))
        price = a_decimal(members.get("unit_price"))
    except Unreadable:
        return None
    if not quantity:
        return Effect.FILTERS
    if price is None or country is None or not 0 <= price <= 1000:
        return None
    revenue = quantity * price
    return {"quantity": quantity, "unit_price": price, "country": country, "revenue": revenue}


@settings(max_examples=20)
@given(first=invoices(), second=invoices())
def test_whatever_comes_the_rows_add_up_and_are_what_python_computes(
    tmp_path_factory: pytest.TempPathFactory, first: list[Any], second: list[Any]
) -> None:
    with a_world(tmp_path_factory.mktemp("world"), INVOICES) as world:
        for data in (first, second):
            world.happen(*data)
            reports = world.run()

            fates = [computed(invoice) for invoice in data]
            [counts] = [counted(report) for report in reports]
            quarantined, filtered = fates.count(None), fates.count(Effect.FILTERS)
            written = len(fates) - quarantined - filtered
            assert counts == (len(data), written, quarantined, filtered, 0)

        everything = [*first, *second]
        rows = world.rows("invoices")
        expected = [fate for fate in map(computed, everything) if isinstance(fate, dict)]
        names = ["quantity", "unit_price", "country", "revenue"]
        assert [{name: row[name] for name in names} for row in rows] == expected
        faulty = [number for number, data in enumerate(everything, 1) if computed(data) is None]
        quarantine = world.rows("invoices_quarantine")
        assert [row["position"] for row in quarantine] == faulty
        originals = [orjson.loads(orjson.loads(row["original"])["data"]) for row in quarantine]
        assert originals == [everything[number - 1] for number in faulty]
