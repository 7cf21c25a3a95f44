"""Databases of our own, to measure and to break: PostgreSQL or SQLite, gone afterwards."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum, auto
from pathlib import Path
from typing import TypeAlias

import sqlalchemy as sa

from triptych.core.errors import TriptychError
from triptych.testing.postgres import PostgresServer, postgres
from triptych.testing.processes import run


class StoreName(StrEnum):
    """What the event log can be kept in."""

    POSTGRES = auto()
    SQLITE = auto()


class StoreChoice(StrEnum):
    """One of them, or both."""

    POSTGRES = auto()
    SQLITE = auto()
    BOTH = auto()

    @property
    def names(self) -> tuple[StoreName, ...]:
        """Those that are chosen."""
        return tuple(StoreName) if self is StoreChoice.BOTH else (StoreName(self.value),)


class NotMigrated(TriptychError):
    """The service does not make its tables."""

    hint = "Try it alone: ingestion migrate."


@dataclass(frozen=True, slots=True)
class Store:
    """A database, at first empty."""

    name: StoreName
    url: str
    server: PostgresServer | None = None
    """The PostgreSQL that it is in."""

    def events(self) -> list[tuple[str, str]]:
        """The source and the id of every row of the log, read without any of our code."""
        with self._connect() as connection:
            rows = connection.exec_driver_sql("SELECT source, id FROM events ORDER BY position")
            return [(source, id_) for source, id_ in rows]

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with self._connect() as connection:
            rows = sa.select(sa.func.count()).select_from(sa.table(table))
            return connection.scalar(rows) or 0

    def settle(self) -> None:
        """Write what the server has yet to write, so that it does not do so while others measure."""
        if self.server is not None:
            self.server.sql("CHECKPOINT")

    def migrate(self) -> None:
        """Make the service's tables, where it does not do so when it starts.

        Raises:
            NotMigrated: it could not; the message is what it said.
        """
        if self.name is StoreName.POSTGRES:
            result = run("ingestion", "migrate", env={"TRIPTYCH_EVENTLOG_URL": self.url})
            if result.returncode:
                raise NotMigrated(result.stderr.strip())

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            yield connection


NewStore: TypeAlias = Callable[[], Store]


@contextmanager
def stores(name: StoreName) -> Iterator[NewStore]:
    """Makes databases of one sort, until the block ends.

    Raises:
        NoPostgres: there is no PostgreSQL to be had.
    """
    match name:
        case StoreName.POSTGRES:
            with postgres() as server:
                yield lambda: Store(name, server.create_database(), server)
        case StoreName.SQLITE:
            numbers = itertools.count()
            with tempfile.TemporaryDirectory(prefix="triptych-sqlite-") as folder:
                yield lambda: Store(name, f"sqlite:///{Path(folder, f'{next(numbers)}.db')}")
