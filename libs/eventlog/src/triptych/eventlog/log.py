"""The table of accepted events: append exactly once, read in the order of commits."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum, auto
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from triptych.core.domain.event import Event, event_from_json
from triptych.core.domain.result import Err, Ok
from triptych.eventlog.database import reading

metadata = sa.MetaData()
"""Hold tables that must change in one transaction with the log here too."""

events = sa.Table(
    "events",
    metadata,
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False, index=True),
    sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
    sa.Column("accepted_at", sa.DateTime, nullable=False),
    sa.Column("event", sa.JSON, nullable=False),
    sa.UniqueConstraint("source", "id"),
    sqlite_autoincrement=True,  # a position is never given twice, even after a deletion
)

_ROWS_A_STATEMENT: Final = 500  # SQLite allows 32,766 values in a statement


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


class CorruptEntry(Exception):
    """A row of the log is no event: somebody else has written to it."""


def append(
    connection: sa.Connection, batch: Sequence[Event], accepted_at: datetime
) -> list[Appended]:
    """Append each event unless its source and id are in the log; say, in order, what became of it.

    It is part of the caller's transaction: nothing is stored before that is committed.
    """
    outcomes: list[Appended] = []
    for start in range(0, len(batch), _ROWS_A_STATEMENT):
        outcomes += _append(connection, batch[start : start + _ROWS_A_STATEMENT], accepted_at)
    return outcomes


def _append(
    connection: sa.Connection, batch: Sequence[Event], accepted_at: datetime
) -> list[Appended]:
    # The first of several events with one name is the one that counts, here as in the log.
    first: dict[tuple[str, str], Event] = {}
    for event in batch:
        first.setdefault((event.source, event.id), event)
    rows = [
        {
            "source": event.source,
            "id": event.id,
            "type": event.type,
            "fingerprint": event.fingerprint,
            "accepted_at": accepted_at.astimezone(UTC).replace(tzinfo=None),
            "event": event.to_json(),
        }
        for event in first.values()
    ]
    statement = insert(events).on_conflict_do_nothing().returning(events.c.source, events.c.id)
    new = {(source, id_) for source, id_ in connection.execute(statement, rows)}
    stored = _fingerprints(connection, first.keys() - new)
    stored |= {name: first[name].fingerprint for name in new}
    outcomes = []
    for event in batch:
        name = (event.source, event.id)
        if name in new:
            new.remove(name)
            outcomes.append(Appended.ACCEPTED)
        else:
            same = stored[name] == event.fingerprint
            outcomes.append(Appended.DUPLICATE if same else Appended.CONFLICT)
    return outcomes


def _fingerprints(
    connection: sa.Connection, names: Collection[tuple[str, str]]
) -> dict[tuple[str, str], bytes]:
    if not names:
        return {}
    query = sa.select(events.c.source, events.c.id, events.c.fingerprint).where(
        sa.tuple_(events.c.source, events.c.id).in_(names)
    )
    return {(source, id_): print_ for source, id_, print_ in connection.execute(query)}


@dataclass(frozen=True)
class EventLogReader:
    """Reads the log in the order of its commits. Thread-safe."""

    engine: sa.Engine

    def newest(self) -> int:
        """The position of the last committed entry; 0 when the log is empty.

        Raises:
            DatabaseAway: the log cannot be read.
        """
        with reading(self.engine) as connection:
            return connection.scalar(sa.select(sa.func.max(events.c.position))) or 0

    def read(
        self, types: Iterable[str], *, after: int, until: int, batch: int = 10_000
    ) -> Iterator[list[Entry]]:
        """The entries of these types with `after < position <= until`, in batches, in order.

        Raises:
            DatabaseAway: the log cannot be read.
        """
        wanted = tuple(types)
        while found := self._batch(wanted, after, until, batch):
            yield found
            after = found[-1].position

    def _batch(self, types: Sequence[str], after: int, until: int, size: int) -> list[Entry]:
        if after >= until:
            return []
        query = (
            sa.select(events.c.position, events.c.event)
            .where(events.c.position > after, events.c.position <= until, events.c.type.in_(types))
            .order_by(events.c.position)
            .limit(size)
        )
        with reading(self.engine) as connection:
            return [
                Entry(position, _event(position, row))
                for position, row in connection.execute(query)
            ]


def _event(position: int, row: object) -> Event:
    match event_from_json(row):
        case Ok(event):
            return event
        case Err(violations):
            raise CorruptEntry(f"position {position}: {'; '.join(map(str, violations))}")
