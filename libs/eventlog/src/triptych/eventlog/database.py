"""Open the database that holds the log, with the guarantees that the log needs."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError

from triptych.core.errors import Kind, TriptychError

LOCK_SECONDS: Final = 10.0


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
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise WrongDatabase("it is no SQLAlchemy URL") from None
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise WrongDatabase(f"{parsed.render_as_string()} is no SQLite file")
    file = Path(parsed.database)
    if create:
        _make_folder(file.parent)
    elif not file.exists():
        raise NoEventLog(str(file))
    engine = sa.create_engine(
        parsed,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={"timeout": LOCK_SECONDS, "isolation_level": None},
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
    with reporting(), engine.execution_options(triptych_begin="IMMEDIATE").begin() as connection:
        yield connection


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One consistent view of the database.

    Raises:
        DatabaseAway: the database cannot be reached.
    """
    with reporting(), engine.begin() as connection:
        yield connection


@contextmanager
def reporting() -> Iterator[None]:
    """Turn what the driver raises into `DatabaseAway`, without the statement and its values."""
    try:
        yield
    except DBAPIError as error:
        raise DatabaseAway(str(error.orig)) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseAway(f"cannot make the folder {str(folder)!r}: {error.strerror}") from None


def _configure(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: sa.Connection) -> None:
    # The driver's own BEGIN is off (isolation_level None). A writer takes its lock at once: one
    # that upgraded a reader's would fail instead of waiting.
    how = connection.get_execution_options().get("triptych_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {how}")
