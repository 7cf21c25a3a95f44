"""Open a service's own database, so that what was committed stays and nothing is waited for without end."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from triptych.core.errors import Kind, TriptychError

if TYPE_CHECKING:
    import psycopg

LOCK_SECONDS: Final = 10
STATEMENT_SECONDS: Final = 30
CONNECT_SECONDS: Final = 5
WORKER_THREADS: Final = 40  # as many as a service's thread pool has: nobody waits for a connection


class WrongDatabase(TriptychError):
    """The URL names no database that can be used."""

    kind = Kind.INVALID
    hint = (
        "Write it like sqlite:////var/lib/triptych/service.db"
        " or postgresql://user@host/database."
    )


class DatabaseAway(TriptychError):
    """A database cannot be used now."""

    kind = Kind.UNAVAILABLE
    hint = "Check its URL, and that this user may read and write there."


class DatabaseInterrupted(DatabaseAway):
    """A database broke off."""

    hint = "The same may succeed in a moment: try it again."


class Unstorable(TriptychError):
    """The database refuses what it was given, and would again."""

    kind = Kind.INVALID
    hint = "The rest can be stored without it."


class NoDatabase(TriptychError):
    """There is no database at this place."""

    kind = Kind.NOT_FOUND
    hint = "Check its URL. The service that writes there makes it when it starts."


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A moment: kept in UTC without an offset, which no database keeps alike; never naive here."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def open_database(url: str, *, create: bool = False, setting: str = "") -> sa.Engine:
    """An engine for the database at `url`. Thread-safe; dispose of it when done.

    `setting` names the variable that holds the URL: errors tell it.

    What was committed survives a loss of power. SQLite runs in write-ahead mode, so that readers
    never wait for the writer, and flushes every commit; in PostgreSQL `synchronous_commit` is on.
    No connection, statement or lock is waited for without end.

    Raises:
        WrongDatabase: the URL is none, or of a database that is not supported.
        NoDatabase: there is none, and it is not to be created (SQLite).
        DatabaseAway: the folder cannot be made or written (SQLite).
    """
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):  # neither repeats the URL: it may hold a password
        raise WrongDatabase(_told(setting, "it is no SQLAlchemy URL")) from None
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            return _sqlite(parsed, create=create, setting=setting)
        case "postgresql" | "postgresql+psycopg" | "postgres":
            return _postgresql(parsed, setting)
        case other:
            raise WrongDatabase(_told(setting, f"{other.partition('+')[0]!r} is not supported"))


@contextmanager
def opened_database(url: str, *, create: bool = False, setting: str = "") -> Iterator[sa.Engine]:
    """`open_database`, and dispose of it at the end of the block."""
    engine = open_database(url, create=create, setting=setting)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that writes: committed at the end, rolled back on any error.

    Raises:
        DatabaseInterrupted: it broke off; only of what was being committed is it unknown whether
            it was stored.
        DatabaseAway: the database cannot be reached or written; nothing was stored.
        Unstorable: the database refuses the values; nothing was stored.
    """
    writer = engine.execution_options(triptych_begin="IMMEDIATE")
    with _reporting(engine), writer.begin() as connection:
        yield connection


@contextmanager
def appending(engine: sa.Engine) -> Iterator[sa.Connection]:
    """For what is one statement, mostly: PostgreSQL commits each by itself, which saves two of three
    round trips. In SQLite it is `writing`, where there are none.

    Raises:
        DatabaseInterrupted, DatabaseAway, Unstorable: as `writing` does.
    """
    if engine.dialect.name == "postgresql":
        alone = engine.execution_options(isolation_level="AUTOCOMMIT")
        with _reporting(engine), alone.connect() as connection:
            yield connection
    else:
        with writing(engine) as connection:
            yield connection


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that reads.

    Raises:
        DatabaseAway: the database cannot be reached.
    """
    with _reporting(engine), engine.begin() as connection:
        yield connection


@contextmanager
def _reporting(engine: sa.Engine) -> Iterator[None]:
    """Turn what the driver raises into our errors, without the statement and its values."""
    try:
        yield
    except DBAPIError as error:
        kind, message = _foreseen(error)
        raise kind(_told(_setting(engine), message)) from error
    except PoolTimeout as error:
        raise DatabaseInterrupted(_told(_setting(engine), "all connections are in use")) from error


def _setting(engine: sa.Engine) -> str:
    return str(engine.get_execution_options().get("triptych_setting", ""))


def _told(setting: str, what: str) -> str:
    return f"{setting}: {what}" if setting else what


# PostgreSQL's classes of errors (its manual, appendix A) that pass: the connection is lost, the
# transaction lost a race, the server has no room, stops or starts, or a time ran out.
_PASSING: Final = ("08", "40", "53", "55", "57")
_LIMITS: Final = "54"  # a value is too large for an index or a column


def _foreseen(error: DBAPIError) -> tuple[type[TriptychError], str]:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return _foreseen_sqlite(error, cause)
    import psycopg  # noqa: PLC0415  # slow to import, and SQLite needs none of it

    if isinstance(cause, psycopg.Error):
        state = cause.sqlstate or ("08000" if isinstance(cause, psycopg.OperationalError) else "")
        if isinstance(error, DataError | IntegrityError) or state.startswith(_LIMITS):
            return Unstorable, _first_line(cause)
        passing = state.startswith(_PASSING)
        return (DatabaseInterrupted if passing else DatabaseAway), _first_line(cause)
    return DatabaseAway, str(cause)


def _foreseen_sqlite(error: DBAPIError, cause: sqlite3.Error) -> tuple[type[TriptychError], str]:
    if isinstance(error, DataError | IntegrityError):
        return Unstorable, str(cause)
    busy = isinstance(cause, sqlite3.OperationalError) and cause.sqlite_errorcode in _SQLITE_BUSY
    return (DatabaseInterrupted if busy else DatabaseAway), str(cause)


_SQLITE_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def _first_line(error: "psycopg.Error") -> str:
    """What the server says, without the values that it adds in the lines that follow."""
    return error.diag.message_primary or str(error).partition("\n")[0]


def _sqlite(url: sa.URL, *, create: bool, setting: str) -> sa.Engine:
    if not url.database or url.database == ":memory:" or url.query:
        raise WrongDatabase(_told(setting, "it names no file that lasts"))
    file = Path(url.database)
    try:
        if create:
            file.parent.mkdir(parents=True, exist_ok=True)
        elif not file.exists():
            raise NoDatabase(_told(setting, str(file)))
    except OSError as error:
        raise DatabaseAway(_told(setting, f"{str(file)!r}: {error.strerror}")) from None
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(file)),
        connect_args={"timeout": LOCK_SECONDS, "isolation_level": None},
        execution_options={"triptych_setting": setting},
        **_COMMON,
    )
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql(url: sa.URL, setting: str) -> sa.Engine:
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "triptych",
            # A server that is gone without a word is noticed, too.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 2,
            "tcp_user_timeout": LOCK_SECONDS * 1000,
        },
        execution_options={"triptych_setting": setting},
        **_COMMON,
    )
    sa.event.listen(engine, "connect", _configure_postgresql)
    return engine


_COMMON: Final[dict[str, Any]] = {
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
    "pool_timeout": LOCK_SECONDS,
    "max_overflow": WORKER_THREADS,
}


def _configure_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    # The driver's own BEGIN is off (isolation_level None). A writer takes its lock at once: one
    # that upgraded a reader's would fail instead of waiting.
    how = connection.get_execution_options().get("triptych_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {how}")


_SESSION: Final = f"""
    SET statement_timeout = '{STATEMENT_SECONDS}s';
    SET lock_timeout = '{LOCK_SECONDS}s';
    SET idle_in_transaction_session_timeout = '{STATEMENT_SECONDS}s';
    SET timezone = 'UTC';
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') = 'off'
"""


def _configure_postgresql(connection: "psycopg.Connection[tuple[object, ...]]", _: object) -> None:
    connection.execute(_SESSION)
    connection.commit()
