"""Open the database that holds the log, with the guarantees that the log needs."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from triptych.core.errors import Kind, TriptychError

LOCK_SECONDS: Final = 10.0
WORKER_THREADS: Final = 40  # as many as a service's thread pool has: nobody waits for a connection


class WrongDatabase(TriptychError):
    """The URL names no database that can hold an event log."""

    kind = Kind.INVALID
    hint = "Set TRIPTYCH_EVENTLOG_URL to something like sqlite:////var/lib/triptych/eventlog.db."


class DatabaseAway(TriptychError):
    """The event log's database cannot be used now."""

    kind = Kind.UNAVAILABLE
    hint = "Check TRIPTYCH_EVENTLOG_URL, and that this user may read and write there."


class NoEventLog(TriptychError):
    """There is no event log at this place."""

    kind = Kind.NOT_FOUND
    hint = "Check TRIPTYCH_EVENTLOG_URL; ingestion makes the log when it starts or loads a file."


def open_database(url: str, *, create: bool = False) -> sa.Engine:
    """An engine for the database at `url`. Thread-safe; dispose of it when done.

    SQLite runs in write-ahead mode, so that readers never wait for the writer, and flushes every
    commit to disk: what was committed survives a loss of power.

    Raises:
        WrongDatabase: the URL is none, or of a database that is not supported.
        NoEventLog: there is none, and it is not to be created.
        DatabaseAway: the folder cannot be made or written.
    """
    file = _file(url)
    try:
        if create:
            file.parent.mkdir(parents=True, exist_ok=True)
        elif not file.exists():
            raise NoEventLog(str(file))
    except OSError as error:
        raise DatabaseAway(f"{str(file)!r}: {error.strerror}") from None
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(file)),
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={"timeout": LOCK_SECONDS, "isolation_level": None},
        pool_timeout=LOCK_SECONDS,
        max_overflow=WORKER_THREADS,
    )
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that writes: committed at the end, rolled back on any error.

    Raises:
        DatabaseAway: the database cannot be reached or written; nothing was stored.
    """
    with _reporting(), engine.execution_options(triptych_begin="IMMEDIATE").begin() as connection:
        yield connection


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One consistent view of the database.

    Raises:
        DatabaseAway: the database cannot be reached.
    """
    with _reporting(), engine.begin() as connection:
        yield connection


@contextmanager
def _reporting() -> Iterator[None]:
    """Turn what the driver raises into `DatabaseAway`, without the statement and its values."""
    try:
        yield
    except DBAPIError as error:
        raise DatabaseAway(str(error.orig)) from error
    except PoolTimeout as error:
        raise DatabaseAway("all connections are in use") from error


def _file(url: str) -> Path:
    """The SQLite file that a URL names. An error never repeats the URL: it may hold a password."""
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        raise WrongDatabase("it is no SQLAlchemy URL") from None
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise WrongDatabase(f"{parsed.get_backend_name()!r} is not supported")
    if not parsed.database or parsed.database == ":memory:" or parsed.query:
        raise WrongDatabase("it names no file that lasts")
    return Path(parsed.database)


def _configure(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: sa.Connection) -> None:
    # The driver's own BEGIN is off (isolation_level None). A writer takes its lock at once: one
    # that upgraded a reader's would fail instead of waiting.
    how = connection.get_execution_options().get("triptych_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {how}")
