"""Many append at once, and some of them die."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest
import sqlalchemy as sa

from triptych.core.domain.event import Event
from triptych.database.engine import open_database, writing
from triptych.database.schema import migrate
from triptych.eventlog.log import SCHEMA, Appended, EventLogReader, append, events
from triptych.testing.builders import NOON, an_event

THREADS = 4

# Appends batches of three for ever; says each event's id when it is committed.
APPENDING = """
import sys
from triptych.database.engine import open_database, writing
from triptych.eventlog.log import append
from triptych.testing.builders import NOON, an_event

engine = open_database(sys.argv[1])
for n in range(1_000_000):
    batch = [an_event(id=f"{n}-{part}") for part in range(3)]
    with writing(engine) as connection:
        append(connection, [event.document for event in batch], NOON)
    for event in batch:
        print(event.id, flush=True)
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where the log is."""
    return f"sqlite:///{tmp_path / 'eventlog.db'}"


@pytest.fixture
def log(url: str) -> Iterator[sa.Engine]:
    """An empty log."""
    engine = open_database(url, create=True)
    migrate(engine, [SCHEMA])
    yield engine
    engine.dispose()


def ids(engine: sa.Engine) -> list[str]:
    """The ids in the log, in their order."""
    pages = EventLogReader(engine).read(["test.happened"], after=0, until=2**31)
    return [entry.event.id for page in pages for entry in page]


@pytest.mark.parametrize("engines", [1, THREADS], ids=["one-engine", "an-engine-each"])
def test_an_event_that_many_append_at_once_is_accepted_from_one(
    log: sa.Engine, url: str, engines: int
) -> None:
    batch = [an_event(id=str(n)) for n in range(100)]
    opened = [log, *(open_database(url) for _ in range(engines - 1))]
    start = threading.Barrier(THREADS)

    def append_all(thread: int) -> list[Appended]:
        engine = opened[thread % engines]
        shuffled = random.Random(thread).sample(batch, len(batch))  # noqa: S311  # a fixed order
        start.wait()
        return [outcome for n in range(0, 100, 10) for outcome in _store(engine, shuffled[n:][:10])]

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = Counter(o for each in pool.map(append_all, range(THREADS)) for o in each)

    assert outcomes == {Appended.ACCEPTED: 100, Appended.DUPLICATE: 300}
    assert sorted(ids(log)) == sorted(event.id for event in batch)
    for engine in opened:
        engine.dispose()


def test_of_many_contents_that_come_at_once_one_is_stored(log: sa.Engine) -> None:
    start = threading.Barrier(THREADS)

    def append_own(thread: int) -> list[Appended]:
        start.wait()
        return _store(log, [an_event(data=thread)])

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = Counter(o for each in pool.map(append_own, range(THREADS)) for o in each)

    assert outcomes == {Appended.ACCEPTED: 1, Appended.CONFLICT: THREADS - 1}
    assert ids(log) == ["1"]


def test_what_a_writer_has_read_stays_true_until_it_commits(log: sa.Engine) -> None:
    start = threading.Barrier(THREADS)

    def append_next(_: int) -> None:
        start.wait()
        for _ in range(10):
            with writing(log) as connection:
                newest = connection.scalar(sa.select(sa.func.count()).select_from(events))
                append(connection, [an_event(id=str(newest)).document], NOON)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(append_next, range(THREADS)))

    assert ids(log) == [str(n) for n in range(THREADS * 10)]


def _store(engine: sa.Engine, batch: list[Event]) -> list[Appended]:
    with writing(engine) as connection:
        return append(connection, [event.document for event in batch], NOON)


def test_what_was_committed_before_a_kill_is_there_once_after_it(log: sa.Engine, url: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", APPENDING, url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        committed = list(islice(process.stdout, 50))
        process.send_signal(signal.SIGKILL)
        committed += process.stdout

    stored = ids(log)
    assert len(stored) == len(set(stored))
    # The last batch may have been committed and not be told any more; it is whole all the same.
    told = [line.strip() for line in committed if line.endswith("\n")]
    assert stored[: len(told)] == told
    assert len(stored) - len(told) <= 3
    assert len(stored) % 3 == 0
