"""Many writers commit at once, and some of them die."""

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triptych.lake.change import Change, DataFile, Progress
from triptych.lake.errors import ConcurrentCommit
from triptych.lake.lake import Lake
from triptych.lake.table import Table

THREADS = 4
SCHEMA = pa.schema([("n", pa.int64())])

# Writes a data file, says so, and waits to be killed.
WRITING = """
import sys
import pyarrow as pa
import pyarrow.parquet as pq
from triptych.lake.lake import Lake

table = Lake.open(sys.argv[1]).table("sales")
pq.write_table(pa.table({"n": [2]}), table.new_file("half.parquet"))
print("written", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake.open(str(tmp_path / "lake"))


def write(table: Table, number: int) -> DataFile:
    """Write a file with one number, which no version holds yet."""
    path = table.new_file(f"{uuid.uuid4().hex}.parquet")
    pq.write_table(pa.table({"n": [number]}, SCHEMA), path)
    return DataFile(path, 1)


def numbers(table: Table) -> list[int]:
    """The numbers in the newest version."""
    found: list[int] = []
    for file in table.snapshot().files:
        found += pq.read_table(file).column("n").to_pylist()
    return sorted(found)


def at_once(work: Callable[[int], object]) -> list[object]:
    """What each of the threads comes to, when all begin together."""
    start = threading.Barrier(THREADS)

    def begin(thread: int) -> object:
        start.wait()
        return work(thread)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


def test_writers_with_names_of_their_own_lose_nothing(lake: Lake) -> None:
    table = lake.table("sales")

    def commit_ten(thread: int) -> None:
        for n in range(10):
            progress = Progress(f"writer-{thread}", n, n + 1)
            table.commit(Change((write(table, thread * 10 + n),), SCHEMA), [progress], {})

    at_once(commit_ten)

    assert numbers(table) == list(range(THREADS * 10))
    assert table.snapshot().version == THREADS * 10 - 1
    assert [table.position(f"writer-{thread}") for thread in range(THREADS)] == [10] * THREADS


@pytest.mark.parametrize("existing", [False, True], ids=["new-table", "old-table"])
def test_of_writers_with_one_name_and_one_position_exactly_one_wins(
    lake: Lake, existing: bool
) -> None:
    for attempt in range(10):
        table = lake.table(f"sales_{attempt}")
        if existing:
            table.commit(Change((write(table, 99),), SCHEMA), [Progress("other", 0, 1)], {})

        outcomes = at_once(partial(_try, table))

        winners = [n for n, outcome in enumerate(outcomes) if outcome]
        assert len(winners) == 1
        assert numbers(table) == [*winners, *([99] if existing else [])]
        assert len(list(table.folder.glob("*.parquet"))) == 1 + existing


def _try(table: Table, number: int) -> bool:
    """Commit a number from position 0; whether that succeeded."""
    try:
        table.commit(Change((write(table, number),), SCHEMA), [Progress("etl", 0, 1)], {})
    except ConcurrentCommit:
        return False
    return True


def test_a_writer_that_dies_before_it_commits_leaves_the_table_as_it_was(lake: Lake) -> None:
    table = lake.table("sales")
    table.commit(Change((write(table, 1),), SCHEMA), [Progress("etl", 0, 1)], {})
    before = table.snapshot()

    with subprocess.Popen(
        [sys.executable, "-c", WRITING, str(lake.root)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "written\n"
        process.kill()

    assert (table.snapshot(), table.position("etl")) == (before, 1)
    assert table.commit(Change((write(table, 3),), SCHEMA), [Progress("etl", 1, 2)], {}) == 1
    assert numbers(table) == [1, 3]
