"""Many events at once: `ingestion load`, and the COPY that no loader can outrun."""

import hashlib
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg

from triptych.core.errors import TriptychError
from triptych.testing.processes import environment
from triptych.tools.bench import events
from triptych.tools.bench.subjects import CONTRACTS
from triptych.tools.memory import peak_mb
from triptych.tools.stores import Store

_SAMPLE_SECONDS: Final = 0.05
_TABLE: Final = """
CREATE TABLE copied (
    position bigint PRIMARY KEY,
    source text NOT NULL,
    id text NOT NULL,
    type text NOT NULL,
    fingerprint bytea NOT NULL,
    accepted_at timestamp NOT NULL,
    event text NOT NULL,
    UNIQUE (source, id)
);
CREATE INDEX ON copied (type, position);
"""
_COLUMNS: Final = "position, source, id, type, fingerprint, accepted_at, event"


class LoadFailed(TriptychError):
    """A file could not be loaded."""

    hint = "Try it alone: ingestion load FILE."


def load(store: Store, file: Path) -> tuple[float, float]:
    """Load a file with `ingestion load`; the seconds that it took, and its peak in MB.

    Raises:
        LoadFailed: it was not loaded.
        NotMigrated: the service does not make its tables there.
    """
    store.migrate()
    command = [sys.executable, "-m", "triptych.ingestion", "load", str(file)]
    settings = {"TRIPTYCH_EVENTLOG_URL": store.url, "TRIPTYCH_LOG__LEVEL": "warning", **CONTRACTS}
    started = time.perf_counter()
    peak = 0.0
    with subprocess.Popen(
        command, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        while True:
            peak = max(peak, peak_mb(process.pid))
            try:
                said, _ = process.communicate(timeout=_SAMPLE_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            break
    seconds = time.perf_counter() - started
    if process.returncode:
        raise LoadFailed(said.decode(errors="replace"))
    return seconds, peak


def copy(store: Store, number: int, commit_every: int) -> float:
    """COPY events into a table like the log's, in PostgreSQL; the seconds that it took.

    Each row has all that the log's has, and as many indexes.
    """
    with psycopg.connect(store.url.replace("+psycopg", "")) as connection:
        connection.execute(_TABLE)
        connection.commit()
        rows = _rows(number)
        started = time.perf_counter()
        while batch := list(itertools.islice(rows, commit_every)):
            with connection.cursor().copy(f"COPY copied ({_COLUMNS}) FROM STDIN") as into:
                for row in batch:
                    into.write_row(row)
            connection.commit()
        return time.perf_counter() - started


def _rows(number: int) -> Iterator[tuple[int, str, str, str, bytes, datetime, str]]:
    now = datetime.now(UTC).replace(tzinfo=None)
    for position, id_ in enumerate(itertools.islice(events.ids(), number), start=1):
        event = events.event(id_).decode()
        fingerprint = hashlib.sha256(id_).digest()
        yield position, events.SOURCE, id_.decode(), events.TYPE, fingerprint, now, event
