"""The table of accepted events: append exactly once, read in the order of commits.

In PostgreSQL transactions commit in another order than they begin, so that a counter's numbers can
become visible out of order and a reader that went past them would miss some. There a position is
made of the transaction's id and of the event's place in it, and only what lies below the oldest
running transaction is read: see docs/adr/0006-commit-order.md.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum, auto
from pathlib import Path
from typing import Final

import orjson
import sqlalchemy as sa

from triptych.core.domain.event import Document, Event, event_from_json
from triptych.core.domain.result import Err, Ok
from triptych.core.errors import Kind, TriptychError
from triptych.database.engine import UtcDateTime, reading
from triptych.database.schema import Schema

SCHEMA: Final = Schema("eventlog", Path(__file__).parent / "migrations", "ingestion migrate")

metadata = sa.MetaData()

events = sa.Table(
    "events",
    metadata,
    sa.Column(
        "position",
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
        primary_key=True,
        autoincrement="ignore_fk",
    ),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
    sa.Column("accepted_at", UtcDateTime, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.UniqueConstraint("source", "id", name="events_source_id_key"),
    sqlite_autoincrement=True,  # a position is never given twice, even after a deletion
)

log_state = sa.Table("log_state", metadata, sa.Column("base", sa.BigInteger, nullable=False))
"""One row. `base` is added to PostgreSQL's transaction ids, which a restored copy counts anew."""

_EVENTS_A_TRANSACTION: Final = 1 << 20
"""A transaction appends fewer events; 2^43 transactions are left."""


class Appended(StrEnum):
    """What became of an event that was appended."""

    ACCEPTED = auto()
    """It is in the log now."""
    DUPLICATE = auto()
    """It was there already, with the same content."""
    CONFLICT = auto()
    """Another event of this source has its id, with other content; that one stays."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event, and its place in the log."""

    position: int
    """Grows with every commit; gaps are possible."""
    event: Event


class RewoundLog(TriptychError):
    """The log was restored into a server whose transactions count from a lower number."""

    kind = Kind.CONFLICT
    hint = "Run: ingestion migrate. New positions then follow the old ones."


class CorruptEntry(Exception):
    """A row of the log is no event: somebody else has written to it."""


def append(
    connection: sa.Connection, batch: Sequence[Document], accepted_at: datetime
) -> list[Appended]:
    """Append each event unless its source and id are in the log; say, in order, what became of it.

    It is part of the caller's transaction, and can be once in each: nothing is stored before that
    is committed.
    """
    # The first of several events with one name is the one that counts, here as in the log.
    first: dict[tuple[str, str], Document] = {}
    for document in batch:
        first.setdefault((document.source, document.id), document)
    if not first:
        return []
    insert = _insert_postgresql if connection.dialect.name == "postgresql" else _insert_sqlite
    known = insert(connection, list(first.values()), accepted_at)
    new = first.keys() - known.keys()
    outcomes = []
    for document in batch:
        name = (document.source, document.id)
        if name in new:
            new.remove(name)
            outcomes.append(Appended.ACCEPTED)
        else:
            same = known.get(name, first[name].fingerprint) == document.fingerprint
            outcomes.append(Appended.DUPLICATE if same else Appended.CONFLICT)
    return outcomes


_Known = dict[tuple[str, str], bytes]
"""The fingerprints of events that were in the log already."""


def _insert_sqlite(connection: sa.Connection, rows: list[Document], at: datetime) -> _Known:
    # Nobody else writes now. The count of changes tells if all are new, which is what they mostly
    # are; looking each up, or asking each to be returned, takes three times as long.
    newest = connection.scalar(sa.select(sa.func.max(events.c.position))) or 0
    moment = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    done = connection.exec_driver_sql(
        "INSERT INTO events (source, id, type, fingerprint, accepted_at, event)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(row.source, row.id, row.type, row.fingerprint, moment, row.json) for row in rows],
    )
    if done.rowcount == len(rows):
        return {}
    return _fingerprints(connection, [(row.source, row.id) for row in rows], until=newest)


# Arrays that are unnested are the fastest way in that can also say which rows were new: a fifth
# faster than one JSON document, or than COPY to a temporary table. The rows come in the order of
# their names: two transactions that append the same events wait for one another, and never in a
# circle. The transaction's id is taken before any row is written.
_APPEND: Final = f"""
    INSERT INTO events (position, source, id, type, fingerprint, accepted_at, event)
    SELECT
        (pg_current_xact_id()::text::bigint + (SELECT base FROM log_state))
            * {_EVENTS_A_TRANSACTION} + place - 1,
        source, id, type, fingerprint, %(accepted_at)s, event
    FROM unnest(
        %(sources)b::text[], %(ids)b::text[], %(types)b::text[],
        %(fingerprints)b::bytea[], %(events)b::text[]
    ) WITH ORDINALITY AS row (source, id, type, fingerprint, event, place)
    ORDER BY source COLLATE "C", id COLLATE "C"
    ON CONFLICT (source, id) DO NOTHING
    RETURNING source, id
"""  # noqa: S608  # the number is ours; `b` sends values as they are, without quoting


def _insert_postgresql(connection: sa.Connection, rows: list[Document], at: datetime) -> _Known:
    if len(rows) >= _EVENTS_A_TRANSACTION:
        raise ValueError(f"{len(rows)} events in one transaction")
    values = {
        "accepted_at": at.astimezone(UTC).replace(tzinfo=None),
        "sources": [row.source for row in rows],
        "ids": [row.id for row in rows],
        "types": [row.type for row in rows],
        "fingerprints": [row.fingerprint for row in rows],
        "events": [row.json for row in rows],
    }
    new = {(source, id_) for source, id_ in connection.exec_driver_sql(_APPEND, values)}
    if len(new) == len(rows):
        return {}
    return _fingerprints(
        connection, [name for row in rows if (name := (row.source, row.id)) not in new]
    )


_NAMES_A_QUERY: Final = 500  # SQLite allows 32,766 values in a statement


def _fingerprints(
    connection: sa.Connection, names: Sequence[tuple[str, str]], until: int | None = None
) -> _Known:
    """The fingerprints of those names that are in the log, at most at position `until`."""
    found: _Known = {}
    query = sa.select(events.c.source, events.c.id, events.c.fingerprint)
    if until is not None:
        query = query.where(events.c.position <= until)
    for start in range(0, len(names), _NAMES_A_QUERY):
        some = names[start : start + _NAMES_A_QUERY]
        among = query.where(sa.tuple_(events.c.source, events.c.id).in_(some))
        found.update({(row.source, row.id): row.fingerprint for row in connection.execute(among)})
    return found


def check_positions(connection: sa.Connection) -> None:
    """Check that new positions will follow those that are in the log.

    Raises:
        RewoundLog: they would not.
    """
    if missing := _missing_base(connection):
        raise RewoundLog(f"it is {missing} transactions ahead of the server")


def mend_positions(connection: sa.Connection) -> None:
    """Make new positions follow those that are in the log."""
    missing = _missing_base(connection)
    connection.execute(sa.update(log_state).values(base=log_state.c.base + missing))


def _missing_base(connection: sa.Connection) -> int:
    if connection.dialect.name != "postgresql":
        return 0
    newest = connection.scalar(sa.select(sa.func.max(events.c.position))) or 0
    return max(0, newest // _EVENTS_A_TRANSACTION + 1 - (connection.scalar(_OLDEST) or 0))


# The ids of all transactions below this one belong to transactions that have ended.
_OLDEST: Final = sa.text(
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + base FROM log_state"
)


@dataclass(frozen=True)
class EventLogReader:
    """Reads the log in the order of its commits. Thread-safe."""

    engine: sa.Engine

    def newest(self) -> int:
        """The last position up to which nothing can be committed any more; 0 for an empty log.

        Raises:
            DatabaseAway: the log cannot be read.
        """
        query = sa.select(sa.func.max(events.c.position))
        with reading(self.engine) as connection:
            if connection.dialect.name == "postgresql":
                oldest = connection.scalar(_OLDEST) or 0
                query = query.where(events.c.position < oldest * _EVENTS_A_TRANSACTION)
            return connection.scalar(query) or 0

    def read(
        self, types: Iterable[str], *, after: int, until: int, batch: int = 10_000
    ) -> Iterator[list[Entry]]:
        """The entries of these types with `after < position <= until`, in batches, in order.

        Read no further than `newest` said: what lies beyond may still be joined by others.

        Raises:
            DatabaseAway: the log cannot be read.
        """
        wanted = tuple(types)
        while found := self._batch(wanted, after, until, batch):
            yield found
            after = found[-1].position

    def find(self, source: str, id_: str) -> Entry | None:
        """The event of this name.

        Raises:
            DatabaseAway: the log cannot be read.
        """
        query = sa.select(events.c.position, events.c.event).where(
            events.c.source == source, events.c.id == id_
        )
        with reading(self.engine) as connection:
            row = connection.execute(query).one_or_none()
        return Entry(row.position, _event(row.position, row.event)) if row else None

    def _batch(self, types: Collection[str], after: int, until: int, size: int) -> list[Entry]:
        if after >= until:
            return []
        query = (
            sa.select(events.c.position, events.c.event)
            .where(events.c.position > after, events.c.position <= until, events.c.type.in_(types))
            .order_by(events.c.position)
            .limit(size)
        )
        with reading(self.engine) as connection:
            return [Entry(row.position, _event(*row)) for row in connection.execute(query)]


def _event(position: int, text: str) -> Event:
    try:
        value = orjson.loads(text)
    except ValueError as error:
        raise CorruptEntry(f"position {position}: {error}") from None
    match event_from_json(value):
        case Ok(event):
            return event
        case Err(violations):
            raise CorruptEntry(f"position {position}: {'; '.join(map(str, violations))}")
