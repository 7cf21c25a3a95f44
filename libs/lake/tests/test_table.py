"""A table is a sequence of versions: a commit makes the next one, or changes nothing."""

import errno
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from triptych.lake.change import Change, DataFile, Progress
from triptych.lake.errors import ConcurrentCommit, LakeAway, SchemaChanged, UnsupportedColumn
from triptych.lake.lake import Lake
from triptych.lake.table import Snapshot, Table

SCHEMA = pa.schema([("n", pa.int64()), ("name", pa.string())])

Write = Callable[..., DataFile]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """A table that is not there yet."""
    return Lake.open(str(tmp_path / "lake")).table("sales")


@pytest.fixture
def write(table: Table) -> Write:
    """Write a file with these numbers, which no version holds yet."""
    files = iter(range(1000))

    def written(*numbers: int) -> DataFile:
        path = table.new_file(f"{next(files)}.parquet")
        rows = pa.table({"n": numbers, "name": [str(n) for n in numbers]}, SCHEMA)
        pq.write_table(rows, path)
        return DataFile(path, len(numbers))

    return written


def commit(table: Table, *files: DataFile, before: int = 0, after: int = 1) -> int:
    """Commit these files as the writer `etl`."""
    return table.commit(Change(files, SCHEMA), [Progress("etl", before, after)], {})


def numbers(snapshot: Snapshot) -> list[int]:
    """The numbers in the rows of a version."""
    found: list[int] = []
    for file in snapshot.files:
        found += pq.read_table(file).column("n").to_pylist()
    return sorted(found)


def test_versions_are_counted_from_0(table: Table, write: Write) -> None:
    versions = [commit(table, write(n), before=n, after=n + 1) for n in range(3)]

    assert versions == [0, 1, 2]
    assert table.snapshot().version == 2


def test_a_version_holds_the_files_that_were_committed_and_no_others(
    table: Table, write: Write
) -> None:
    one, two, three = write(1), write(2), write(3)
    write(4)  # never committed

    commit(table, one, two)
    commit(table, three, before=1, after=2)

    snapshot = table.snapshot()
    assert [Path(file) for file in snapshot.files] == [one.path, two.path, three.path]
    assert numbers(snapshot) == [1, 2, 3]


def test_a_snapshot_says_of_what_it_is_one(table: Table, write: Write) -> None:
    commit(table, write(1))

    snapshot = table.snapshot()

    assert (snapshot.table, snapshot.version, snapshot.schema) == ("sales", 0, SCHEMA)


def test_a_snapshot_stays_as_it_is_while_the_table_moves_on(table: Table, write: Write) -> None:
    commit(table, write(1))
    snapshot = table.snapshot()

    commit(table, write(2), before=1, after=2)

    assert (snapshot.version, numbers(snapshot)) == (0, [1])
    assert numbers(table.snapshot()) == [1, 2]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.bool_(), True),
        (pa.int32(), 1),
        (pa.int64(), 2**53 + 1),
        (pa.float64(), 0.1),
        (pa.decimal128(18, 2), Decimal("1204.50")),
        (pa.string(), "naïve"),
        (pa.date32(), date(2030, 1, 1)),
        (pa.timestamp("us", "UTC"), datetime(2030, 1, 1, 12, tzinfo=UTC)),
    ],
    ids=str,
)
def test_a_column_keeps_its_type(table: Table, kind: pa.DataType, value: object) -> None:
    schema = pa.schema([("column", kind)])
    path = table.new_file("0.parquet")
    pq.write_table(pa.table({"column": [value, None]}, schema), path)

    table.commit(Change((DataFile(path, 2),), schema), [Progress("etl", 0, 1)], {})

    snapshot = table.snapshot()
    assert snapshot.schema == schema
    assert pq.read_table(snapshot.files[0]).column("column").to_pylist() == [value, None]


def test_the_position_is_committed_with_the_rows(table: Table, write: Write) -> None:
    commit(table, write(1), before=0, after=17)

    assert table.position("etl") == 17


def test_every_writer_has_a_position_of_its_own(table: Table, write: Write) -> None:
    table.commit(Change((write(1),), SCHEMA), [Progress("one", 0, 5)], {})
    table.commit(Change((write(2),), SCHEMA), [Progress("two", 0, 9)], {})

    assert [table.position(name) for name in ("one", "two", "three")] == [5, 9, 0]


def test_a_commit_without_files_moves_the_position_only(table: Table, write: Write) -> None:
    commit(table, write(1))
    before = table.snapshot()

    version = commit(table, before=1, after=8)

    assert (version, table.position("etl")) == (1, 8)
    assert table.snapshot().files == before.files


def test_a_first_commit_without_files_makes_an_empty_table(table: Table) -> None:
    table.new_file("none.parquet")

    commit(table)

    snapshot = table.snapshot()
    assert (snapshot.version, snapshot.files, snapshot.schema) == (0, (), SCHEMA)


def test_notes_stand_in_the_tables_history(table: Table, write: Write) -> None:
    table.commit(Change((write(1),), SCHEMA), [Progress("etl", 0, 1)], {"run": "first"})
    table.commit(Change((write(2),), SCHEMA), [Progress("etl", 1, 2)], {"run": "second"})

    history = DeltaTable(table.folder).history()

    assert [entry["run"] for entry in history] == ["second", "first"]


def test_the_number_of_rows_stands_in_the_tables_statistics(table: Table, write: Write) -> None:
    commit(table, write(1, 2, 3))

    assert DeltaTable(table.folder).count() == 3


@pytest.mark.parametrize("before", [0, 2])
def test_a_writer_that_is_elsewhere_by_now_is_refused(
    table: Table, write: Write, before: int
) -> None:
    commit(table, write(1))

    with pytest.raises(ConcurrentCommit, match=f"is at 1, not at {before}"):
        commit(table, write(2), before=before, after=3)


def test_a_writer_that_was_never_here_is_refused_if_it_says_it_was(
    table: Table, write: Write
) -> None:
    with pytest.raises(ConcurrentCommit):
        commit(table, write(1), before=1, after=2)


OTHER_SCHEMAS = {
    "one-more": (pa.schema([*SCHEMA, ("price", pa.float64())]), ["price"]),
    "one-less": (pa.schema([("n", pa.int64())]), ["name"]),
    "other-type": (pa.schema([("n", pa.string()), ("name", pa.string())]), ["n"]),
    "other-name": (pa.schema([("n", pa.int64()), ("nom", pa.string())]), ["name", "nom"]),
}


@pytest.mark.parametrize(("schema", "columns"), OTHER_SCHEMAS.values(), ids=OTHER_SCHEMAS)
def test_other_columns_than_the_tables_are_refused_by_name(
    table: Table, write: Write, schema: pa.Schema, columns: list[str]
) -> None:
    commit(table, write(1))

    with pytest.raises(SchemaChanged) as caught:
        table.commit(Change((write(2),), schema), [Progress("etl", 1, 2)], {})

    assert str(caught.value) == f"'sales': {', '.join(columns)}"


@pytest.mark.parametrize(
    ("schema", "before"),
    [(SCHEMA, 0), (pa.schema([("n", pa.string())]), 1)],
    ids=["stale", "schema"],
)
def test_a_commit_that_is_refused_changes_nothing_and_leaves_no_file(
    table: Table, write: Write, schema: pa.Schema, before: int
) -> None:
    commit(table, write(1))
    snapshot = table.snapshot()
    file = write(2)

    with pytest.raises((ConcurrentCommit, SchemaChanged)):
        table.commit(Change((file,), schema), [Progress("etl", before, 9)], {})

    assert table.snapshot() == snapshot
    assert table.position("etl") == 1
    assert not file.path.exists()


def test_a_failure_after_the_commit_takes_nothing_back(
    table: Table, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_disk(path: Path) -> None:
        if path.suffix == ".json":
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("triptych.lake.commit.flush", broken_disk)

    with pytest.raises(LakeAway, match="Input/output error"):
        commit(table, write(1))

    assert table.position("etl") == 1
    assert numbers(table.snapshot()) == [1]


def test_a_checkpoint_that_fails_leaves_the_commit_alone(table: Table, write: Write) -> None:
    for n in range(99):
        commit(table, before=n, after=n + 1)
    (table.folder / "_delta_log" / "_last_checkpoint").mkdir()  # where its file should go

    commit(table, write(1), before=99, after=100)

    assert numbers(table.snapshot()) == [1]


@pytest.mark.parametrize("folder", ["a b", "größe", "50% off", "a#b?c"])
def test_a_lake_may_lie_in_a_folder_of_any_name(tmp_path: Path, folder: str) -> None:
    table = Lake.open(str(tmp_path / folder)).table("sales")
    path = table.new_file("0.parquet")
    pq.write_table(pa.table({"n": [1], "name": ["1"]}, SCHEMA), path)

    commit(table, DataFile(path, 1))
    commit(table, before=1, after=2)

    assert numbers(table.snapshot()) == [1]


def test_a_type_that_no_table_can_hold_is_refused(table: Table) -> None:
    schema = pa.schema([("took", pa.duration("s"))])

    with pytest.raises(UnsupportedColumn):
        table.commit(Change((), schema), [Progress("etl", 0, 1)], {})


def test_a_column_that_may_now_be_missing_is_another_column(table: Table) -> None:
    strict = pa.schema([pa.field("n", pa.int64(), nullable=False)])
    table.commit(Change((), strict), [Progress("etl", 0, 1)], {})

    with pytest.raises(SchemaChanged, match="n"):
        table.commit(Change((), pa.schema([("n", pa.int64())])), [Progress("etl", 1, 2)], {})


def test_a_file_that_is_missing_is_not_committed(table: Table) -> None:
    with pytest.raises(LakeAway):
        commit(table, DataFile(table.folder / "missing.parquet", 1))

    assert table.position("etl") == 0


def test_a_file_cannot_be_put_outside_the_table(table: Table) -> None:
    with pytest.raises(ValueError, match="no plain file name"):
        table.new_file("../elsewhere.parquet")
