"""Every version can be looked at, and columns may come."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triptych.lake.change import (
    Append,
    Change,
    DataFile,
    Exchange,
    Mode,
    Replace,
    ReplacePartitions,
)
from triptych.lake.errors import ConcurrentCommit, NoSuchTable, NoSuchVersion, SchemaChanged
from triptych.lake.lake import Lake
from triptych.lake.table import Table

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """A table that is not there yet."""
    return Lake.open(str(tmp_path / "lake")).table("sales")


def commit(
    table: Table, rows: pa.Table, *, mode: Mode | None = None, evolve: bool = False, run: str = ""
) -> int:
    path = table.new_file(f"{len(list(table.folder.glob('*')))}.parquet")
    pq.write_table(rows, path)
    files = (DataFile(path, rows.num_rows),)
    change = Change(files, rows.schema, evolve=evolve, mode=mode or Append())
    return table.commit(change, notes={"run": run})


NUMBERS = pa.table({"n": [1]})
NAMED = pa.table({"n": [2], "name": ["two"]})


def test_a_new_column_comes_when_it_may(table: Table) -> None:
    commit(table, NUMBERS)

    commit(table, NAMED, evolve=True)

    assert table.snapshot().schema == NAMED.schema
    assert table.snapshot().rows == 2


def test_a_column_that_is_missing_or_of_another_type_is_never_let_pass(table: Table) -> None:
    commit(table, NAMED)

    for rows in (NUMBERS, pa.table({"n": ["1"], "name": ["x"]})):
        with pytest.raises(SchemaChanged):
            commit(table, rows, evolve=True)

    assert table.snapshot().rows == 1


def test_what_replaces_everything_brings_its_own_columns(table: Table) -> None:
    commit(table, NUMBERS)

    commit(table, NAMED, mode=Replace())

    assert (table.snapshot().schema, table.snapshot().rows) == (NAMED.schema, 1)
    assert table.snapshot(0).schema == NUMBERS.schema


def test_a_table_is_divided_once_and_for_all(table: Table) -> None:
    commit(table, NUMBERS)
    path = table.new_file("divided.parquet")
    pq.write_table(NUMBERS, path)
    file = DataFile(path, 1, (("n", "1"),))
    mode = ReplacePartitions(frozenset({file.partition}))

    with pytest.raises(SchemaChanged, match="divided"):
        table.commit(Change((file,), NUMBERS.schema, mode=mode, partition_by=("n",)))


def test_history_tells_what_was_said_with_each_commit(table: Table) -> None:
    begin = datetime.now(UTC) - timedelta(seconds=1)
    commit(table, NUMBERS, run="first")
    commit(table, NUMBERS, run="second")

    newest, oldest = table.history()

    assert (newest.number, newest.notes["run"]) == (1, "second")
    assert (oldest.number, oldest.notes["run"]) == (0, "first")
    assert begin < oldest.at <= newest.at
    assert [version.number for version in table.history(1)] == [1]


def test_a_version_is_found_by_time(table: Table) -> None:
    commit(table, NUMBERS)
    commit(table, NUMBERS)
    newest, oldest = table.history()

    assert table.snapshot(newest.at + timedelta(hours=1)).version == 1
    if oldest.at < newest.at:
        assert table.snapshot(oldest.at).version == 0
    with pytest.raises(NoSuchVersion, match="begins at"):
        table.snapshot(LONG_AGO)


@pytest.mark.parametrize("version", [-1, 1, 10**12])
def test_a_version_that_was_never_there_is_an_error(table: Table, version: int) -> None:
    commit(table, NUMBERS)

    with pytest.raises(NoSuchVersion):
        table.snapshot(version)


def test_a_table_that_is_not_there_has_no_history(table: Table) -> None:
    assert not table.exists()
    with pytest.raises(NoSuchTable):
        table.history()
    with pytest.raises(NoSuchTable):
        table.vacuum(1, datetime.now(UTC))


def test_a_vacuum_leaves_what_somebody_may_be_about_to_commit(table: Table) -> None:
    commit(table, NUMBERS)
    now = datetime.now(UTC)
    young, old = table.new_file("young.parquet"), table.new_file("old.parquet")
    for path in (young, old):
        pq.write_table(NUMBERS, path)
    two_days_ago = (now - timedelta(days=2)).timestamp()
    os.utime(old, (two_days_ago, two_days_ago))
    size = old.stat().st_size

    removed = table.vacuum(1, now)

    assert (removed.files, removed.bytes) == (1, size)
    assert young.exists()
    assert not old.exists()


def test_what_a_dead_run_left_in_folders_of_its_own_is_removed(table: Table) -> None:
    commit(table, NUMBERS)
    left = table.folder / "staging-1" / "day=1" / "x.parquet"
    left.parent.mkdir(parents=True)
    pq.write_table(NUMBERS, left)
    os.utime(left, (0, 0))

    gone = table.vacuum(1, datetime.now(UTC))

    assert gone.files == 1
    assert not (table.folder / "staging-1").exists()
    assert table.snapshot().rows == 1


def test_files_are_exchanged_whatever_was_added_since_they_were_read(table: Table) -> None:
    commit(table, NUMBERS)
    read = table.snapshot().files
    commit(table, pa.table({"n": [5]}))

    commit(table, pa.table({"n": [10]}), mode=Exchange(read))

    found = [n for file in table.snapshot().files for n in pq.read_table(file)["n"].to_pylist()]
    assert sorted(found) == [5, 10]


def test_files_are_exchanged_once(table: Table) -> None:
    commit(table, NUMBERS)
    read = table.snapshot().files
    commit(table, pa.table({"n": [10]}), mode=Exchange(read))

    with pytest.raises(ConcurrentCommit, match="another writer"):
        commit(table, pa.table({"n": [20]}), mode=Exchange(read))

    assert table.snapshot().rows == 1
