"""The store in a SQL database: the event log, and beside it what was refused."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
import stamina
from opentelemetry import trace
from sqlalchemy.dialects import postgresql, sqlite

from triptych.core.domain.event import Event
from triptych.core.domain.result import Err, Ok, partition
from triptych.database.engine import DatabaseInterrupted, Unstorable, appending, reading, writing
from triptych.database.schema import check, migrate, prepare
from triptych.eventlog.log import (
    Appended,
    EventLogReader,
    append,
    check_positions,
    events,
    mend_positions,
)
from triptych.ingestion.domain.admission import (
    Admitted,
    Decision,
    Rejection,
    conflict,
    unstorable,
)
from triptych.ingestion.domain.outcome import Outcome, Status, refused, stored
from triptych.ingestion.infrastructure.tables import SCHEMAS, rejections

ATTEMPTS: Final = 3
RETRY_SECONDS: Final = 2.0
"""A transaction that is broken off is tried again for so long at most: who waits can wait for more."""
_TRACER: Final = trace.get_tracer("triptych.ingestion")
_PRUNED_AT_ONCE: Final = 10_000  # others write in between


@dataclass(frozen=True, slots=True)
class SqlStore:
    """Keeps events and rejections in one database."""

    engine: sa.Engine

    def prepare(self) -> None:
        """Make the tables where there is no log; elsewhere check that they are those of this release.

        Raises:
            SchemaTooOld, SchemaTooNew, RewoundLog: they are not.
            DatabaseAway: the database cannot be reached or written.
        """
        with reading(self.engine) as connection:
            there = sa.inspect(connection).has_table(
                events.name
            )  # of release 0.1.0, without a version
        if not there:
            prepare(self.engine, SCHEMAS)
        self.check()

    def migrate(self) -> None:
        """Bring the tables to those of this release.

        Raises:
            SchemaTooNew: they are newer.
            DatabaseAway: the database cannot be reached or written.
        """
        migrate(self.engine, SCHEMAS)
        with writing(self.engine) as connection:
            mend_positions(connection)

    def check(self) -> None:
        """Check that the tables are those of this release.

        Raises:
            SchemaTooOld, SchemaTooNew, RewoundLog: they are not.
            DatabaseAway: the database cannot be reached.
        """
        check(self.engine, SCHEMAS)
        with reading(self.engine) as connection:
            check_positions(connection)

    def touch(self) -> None:
        """Touch the tables.

        Raises:
            DatabaseAway: they cannot be read.
        """
        with reading(self.engine) as connection:
            connection.execute(sa.select(rejections.c.id).limit(1))

    def save(self, decisions: Sequence[Decision], at: datetime) -> list[Outcome]:
        """See `Store.save`."""
        try:
            return self._save(decisions, at)
        except Unstorable as error:
            if len(decisions) == 1:
                return self._save([Err(unstorable(decisions[0], str(error)))], at)
        # Somewhere among them is what the database refuses: the others must not suffer for it.
        half = len(decisions) // 2
        return [*self.save(decisions[:half], at), *self.save(decisions[half:], at)]

    @stamina.retry(on=DatabaseInterrupted, attempts=ATTEMPTS, timeout=RETRY_SECONDS, wait_max=0.5)
    def _save(self, decisions: Sequence[Decision], at: datetime) -> list[Outcome]:
        admitted, refusals = partition(decisions)
        span = _TRACER.start_as_current_span("store.save", attributes={"events": len(decisions)})
        begin = writing if refusals else appending
        with span, begin(self.engine) as connection:
            appended = append(connection, [entry.document for entry in admitted], at)
            outcomes, conflicts = _tell(decisions, appended)
            _keep(connection, [*refusals, *conflicts], at)
        return outcomes

    def event(self, source: str, id_: str) -> Event | None:
        """See `EventFinder.event`."""
        entry = EventLogReader(self.engine).find(source, id_)
        return entry.event if entry else None

    def prune(self, older_than: timedelta, now: datetime) -> tuple[int, int]:
        """Forget events and rejections of before then; how many of each there were.

        What is forgotten is no duplicate any more when it comes again.

        Raises:
            DatabaseAway: the database cannot be reached or written.
        """
        before = now - older_than
        old = sa.select(events.c.position).where(events.c.accepted_at < before)
        some = events.c.position.in_(old.order_by(events.c.position).limit(_PRUNED_AT_ONCE))
        pruned = 0
        while number := self._delete(sa.delete(events).where(some)):
            pruned += number
        return pruned, self._delete(sa.delete(rejections).where(rejections.c.last_at < before))

    def _delete(self, statement: sa.Delete) -> int:
        with writing(self.engine) as connection:
            return connection.execute(statement).rowcount


def _tell(
    decisions: Iterable[Decision], appended: Iterable[Appended]
) -> tuple[list[Outcome], list[Rejection]]:
    """The outcome of each decision, and the conflicts among them."""
    outcomes, conflicts = [], []
    results = iter(appended)
    for decision in decisions:
        match decision:
            case Err(rejection):
                outcomes.append(refused(rejection))
            case Ok(admitted):
                outcome = _of(admitted, next(results))
                outcomes.append(outcome)
                if outcome.status is Status.CONFLICT:
                    conflicts.append(conflict(admitted))
    return outcomes, conflicts


def _of(admitted: Admitted, appended: Appended) -> Outcome:
    if appended is Appended.CONFLICT:
        return refused(conflict(admitted))
    return stored(admitted, Status(appended.value))


def _keep(connection: sa.Connection, refusals: Sequence[Rejection], at: datetime) -> None:
    if not refusals:
        return
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(rejections)
    again = {"times": rejections.c.times + 1, "last_at": statement.excluded.last_at}
    # In one order, so that two transactions that keep the same never wait in a circle.
    rows = sorted((_row(rejection, at) for rejection in refusals), key=_digest)
    connection.execute(statement.on_conflict_do_update(index_elements=["digest"], set_=again), rows)


def _digest(row: dict[str, object]) -> bytes:
    digest = row["digest"]
    assert isinstance(digest, bytes)  # noqa: S101  # as `_row` makes it
    return digest


def _row(rejection: Rejection, at: datetime) -> dict[str, object]:
    arrival = rejection.arrival
    return {
        "digest": hashlib.sha256(f"{rejection.reason}\n".encode() + arrival.raw).digest(),
        "reason": rejection.reason.value,
        "source": rejection.source,
        "event_id": rejection.id,
        "type": rejection.type,
        "contract": rejection.contract,
        "violations": [
            {"pointer": v.pointer, "keyword": v.keyword, "message": v.message}
            for v in rejection.violations
        ],
        "raw": arrival.raw,
        "event": arrival.event,
        "origin": arrival.origin,
        "first_at": at,
        "last_at": at,
        "times": 1,
    }
