"""What every sink promises, whichever it is."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from sqlglot import exp

from triptych.etl.application.ports import Engine, Positions, Resources, Sink, Staged
from triptych.etl.domain.plan import table
from triptych.etl.infrastructure.duckdb import DuckDb
from triptych.etl.infrastructure.lake import LakeSink
from triptych.eventlog.log import EventLogReader
from triptych.lake.change import Progress
from triptych.lake.errors import ConcurrentCommit, NoSuchTable
from triptych.lake.lake import Lake

NOTES: Mapping[str, str] = {"run_id": "1"}


@dataclass(frozen=True)
class Subject:
    """A sink, and how a test looks into its outputs."""

    sink: Sink
    resources: Resources
    engine: Engine
    rows: Callable[[str], list[int] | None]
    """The numbers in `output` or `quarantine`; none before anything was committed."""

    def stage(self, output: str, numbers: list[int], progress: Progress) -> Staged:
        relation = f"r{len(numbers)}_{progress.after}"
        batch = pa.RecordBatch.from_arrays([pa.array(numbers, pa.int64())], ["n"])
        self.engine.load(relation, [batch])
        query = exp.select("n").from_(table(relation))
        write = self.sink.output if output == "output" else self.sink.quarantine
        return write(self.resources, self.engine, query, progress)

    def positions(self, writer: str = "etl:test") -> Positions:
        return self.sink.positions(self.resources, writer)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Subject]:
    resources = Resources(EventLogReader(sa.create_engine("sqlite://")), Lake.open(str(tmp_path)))

    def rows(output: str) -> list[int] | None:
        name = "numbers" if output == "output" else "numbers_quarantine"
        try:
            files = resources.lake.table(name).snapshot().files
        except NoSuchTable:
            return None
        return sorted(row["n"] for file in files for row in pq.read_table(file).to_pylist())

    with DuckDb().open() as engine:
        yield Subject(LakeSink(table="numbers"), resources, engine, rows)


@pytest.fixture(params=["lake"])
def subject(request: pytest.FixtureRequest) -> Subject:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Subject)
    return found


def progress(before: int, after: int, writer: str = "etl:test") -> Progress:
    return Progress(writer, before, after)


OUTPUTS = pytest.mark.parametrize("output", ["output", "quarantine"])


def test_a_writer_begins_at_the_beginning(subject: Subject) -> None:
    assert subject.positions() == Positions(0, 0)


@OUTPUTS
def test_rows_are_invisible_until_they_are_committed(subject: Subject, output: str) -> None:
    staged = subject.stage(output, [1, 2], progress(0, 5))

    assert staged.rows == 2
    assert subject.rows(output) is None
    assert subject.positions() == Positions(0, 0)


@OUTPUTS
def test_rows_are_committed_together_with_the_position(subject: Subject, output: str) -> None:
    staged = subject.stage(output, [1, 2], progress(0, 5))

    staged.commit(NOTES)

    assert subject.rows(output) == [1, 2]
    moved = Positions(5, 0) if output == "output" else Positions(0, 5)
    assert subject.positions() == moved


@OUTPUTS
def test_versions_grow_by_one_and_rows_add_up(subject: Subject, output: str) -> None:
    first = subject.stage(output, [1], progress(0, 5)).commit(NOTES)
    second = subject.stage(output, [2, 3], progress(5, 9)).commit(NOTES)

    assert second == first + 1
    assert subject.rows(output) == [1, 2, 3]


def test_a_commit_without_rows_moves_the_position_alone(subject: Subject) -> None:
    subject.stage("output", [1], progress(0, 5)).commit(NOTES)

    subject.stage("output", [], progress(5, 9)).commit(NOTES)

    assert subject.rows("output") == [1]
    assert subject.positions() == Positions(9, 0)


@OUTPUTS
def test_what_is_discarded_is_gone(subject: Subject, output: str, tmp_path: Path) -> None:
    staged = subject.stage(output, [1], progress(0, 5))

    staged.discard()

    assert subject.rows(output) is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@OUTPUTS
def test_what_is_committed_cannot_be_discarded(subject: Subject, output: str) -> None:
    staged = subject.stage(output, [1], progress(0, 5))
    staged.commit(NOTES)

    staged.discard()

    assert subject.rows(output) == [1]


@OUTPUTS
def test_of_two_that_start_at_one_position_one_is_committed(subject: Subject, output: str) -> None:
    fast = subject.stage(output, [1], progress(0, 5))
    slow = subject.stage(output, [1, 2], progress(0, 6))
    fast.commit(NOTES)

    with pytest.raises(ConcurrentCommit):
        slow.commit(NOTES)
    slow.discard()

    assert subject.rows(output) == [1]


def test_each_writer_has_positions_of_its_own(subject: Subject) -> None:
    subject.stage("output", [1], progress(0, 5, "etl:one")).commit(NOTES)
    subject.stage("output", [2, 3], progress(0, 3, "etl:other")).commit(NOTES)

    assert subject.positions("etl:one") == Positions(5, 0)
    assert subject.positions("etl:other") == Positions(3, 0)
    assert subject.rows("output") == [1, 2, 3]


def test_a_sink_tells_people_where_its_rows_go(subject: Subject) -> None:
    assert subject.sink.table == "numbers"
