"""What every sink promises, whichever it is."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from triptych.etl.application.ports import Batches, Engine, Resources, Sink, Staged, Writing
from triptych.etl.infrastructure.databases import connect
from triptych.etl.infrastructure.engines.duckdb import DuckDb
from triptych.etl.infrastructure.sinks.files import FilesSink
from triptych.etl.infrastructure.sinks.lake import LakeSink
from triptych.etl.infrastructure.sinks.sql import SqlSink
from triptych.lake.change import Progress
from triptych.lake.errors import ConcurrentCommit, NoSuchTable
from triptych.lake.lake import Lake
from triptych.testing.postgres import PostgresServer

NOTES: Mapping[str, str] = {"run_id": "1"}


@dataclass(frozen=True)
class Subject:
    """A sink, and how a test looks at what it wrote."""

    sink: Sink
    resources: Resources
    engine: Engine
    rows: Callable[[], list[int] | None]
    """The numbers that were written; none before anything was committed."""

    def stage(self, numbers: list[int], progress: Progress) -> Staged:
        table = pa.table({"n": pa.array(numbers, pa.int64())})
        name = f"r{len(numbers)}_{progress.after}"
        rows = self.engine.load(name, Batches(table.schema, table.to_batches()), "source")
        return self.sink.stage(Writing(self.resources, self.engine), rows, progress)

    def position(self, writer: str = "etl:test") -> int:
        return self.sink.position(self.resources, writer)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Subject]:
    nothing = cast("Any", None)  # a sink knows of no sources
    resources = Resources(Lake.open(str(tmp_path)), tmp_path, nothing, nothing)

    def rows() -> list[int] | None:
        try:
            files = resources.lake.table("numbers").snapshot().files
        except NoSuchTable:
            return None
        return sorted(row["n"] for file in files for row in pq.read_table(file).to_pylist())

    with DuckDb().open() as engine:
        yield Subject(LakeSink(table="numbers"), resources, engine, rows)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Subject]:
    nothing = cast("Any", None)
    resources = Resources(nothing, tmp_path, nothing, nothing)

    def rows() -> list[int] | None:
        found = sorted((tmp_path / "numbers").glob("*.parquet"))
        return sorted(row["n"] for f in found for row in pq.read_table(f).to_pylist()) or None

    with DuckDb().open() as engine:
        yield Subject(FilesSink(folder="numbers"), resources, engine, rows)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Subject]:
    with a_database(f"sqlite:///{tmp_path / 'warehouse.db'}") as subject:
        yield subject


@pytest.fixture
def postgresql(postgres_server: PostgresServer) -> Iterator[Subject]:
    with a_database(postgres_server.create_database()) as subject:
        yield subject


@contextmanager
def a_database(url: str) -> Iterator[Subject]:
    def rows() -> list[int] | None:
        database = connect(SecretStr(url))
        with database.connect() as connection:
            if not sa.inspect(connection).has_table("numbers"):
                return None
            return list(connection.scalars(sa.text("select n from numbers order by n")))

    context = {"environment": {"URL": url}}
    sink = SqlSink.model_validate({"url": "${URL}", "table": "numbers"}, context=context)
    with DuckDb().open() as engine:
        yield Subject(sink, cast("Any", None), engine, rows)


@pytest.fixture(params=["lake", "files", "sqlite", "postgresql"])
def subject(request: pytest.FixtureRequest) -> Subject:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Subject)
    return found


def progress(before: int, after: int, writer: str = "etl:test") -> Progress:
    return Progress(writer, before, after)


def test_a_writer_begins_at_the_beginning(subject: Subject) -> None:
    assert subject.position() == 0


def test_rows_are_invisible_until_they_are_committed(subject: Subject) -> None:
    staged = subject.stage([1, 2], progress(0, 5))

    assert staged.rows == 2
    assert subject.rows() is None
    assert subject.position() == 0


def test_rows_are_committed_together_with_the_position(subject: Subject) -> None:
    subject.stage([1, 2], progress(0, 5)).commit(NOTES)

    assert subject.rows() == [1, 2]
    assert subject.position() == 5


def test_versions_grow_by_one_and_rows_add_up(subject: Subject) -> None:
    first = subject.stage([1], progress(0, 5)).commit(NOTES)
    second = subject.stage([2, 3], progress(5, 9)).commit(NOTES)

    assert second == first + 1
    assert subject.rows() == [1, 2, 3]


def test_a_commit_without_rows_moves_the_position_alone(subject: Subject) -> None:
    subject.stage([1], progress(0, 5)).commit(NOTES)

    subject.stage([], progress(5, 9)).commit(NOTES)

    assert subject.rows() == [1]
    assert subject.position() == 9


def test_what_is_discarded_is_gone(subject: Subject, tmp_path: Path) -> None:
    staged = subject.stage([1], progress(0, 5))

    staged.discard()

    assert subject.rows() is None
    assert not list(tmp_path.rglob("*.parquet"))


def test_what_is_committed_cannot_be_discarded(subject: Subject) -> None:
    staged = subject.stage([1], progress(0, 5))
    staged.commit(NOTES)

    staged.discard()

    assert subject.rows() == [1]


def test_of_two_that_start_at_one_position_one_is_committed(subject: Subject) -> None:
    fast = subject.stage([1], progress(0, 5))
    slow = subject.stage([1, 2], progress(0, 6))
    fast.commit(NOTES)

    with pytest.raises(ConcurrentCommit):
        slow.commit(NOTES)
    slow.discard()

    assert subject.rows() == [1]


def test_each_writer_has_a_position_of_its_own(subject: Subject) -> None:
    subject.stage([1], progress(0, 5, "etl:one")).commit(NOTES)
    subject.stage([2, 3], progress(0, 3, "etl:other")).commit(NOTES)

    assert (subject.position("etl:one"), subject.position("etl:other")) == (5, 3)
    assert subject.rows() == [1, 2, 3]


def test_a_sink_tells_people_where_its_rows_go(subject: Subject) -> None:
    assert subject.sink.target == "numbers"
