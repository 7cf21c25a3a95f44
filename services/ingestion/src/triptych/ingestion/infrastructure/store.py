"""The store in a SQL database: the event log, and beside it what was refused."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from triptych.core.domain.result import Err, Ok, partition
from triptych.eventlog.database import reading, writing
from triptych.eventlog.log import Appended, append, metadata
from triptych.ingestion.domain.admission import Admitted, Decision, Rejection, conflict
from triptych.ingestion.domain.outcome import Outcome, Status, refused, stored

rejections = sa.Table(
    "rejections",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("source", sa.Text),
    sa.Column("event_id", sa.Text),
    sa.Column("type", sa.Text),
    sa.Column("contract", sa.Text),
    sa.Column("violations", sa.JSON, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("first_at", sa.DateTime, nullable=False),
    sa.Column("last_at", sa.DateTime, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
)
"""What was refused, as it arrived: the same thing, sent again, is one row that counts."""


@dataclass(frozen=True, slots=True)
class SqlStore:
    """Keeps events and rejections in one database, changed in one transaction."""

    engine: sa.Engine

    def prepare(self) -> None:
        """Create the tables that are missing.

        Raises:
            DatabaseAway: the database cannot be reached or written.
        """
        with writing(self.engine) as connection:
            metadata.create_all(connection)

    def save(self, decisions: Sequence[Decision], at: datetime) -> list[Outcome]:
        """See `Store.save`."""
        admitted, refusals = partition(decisions)
        with writing(self.engine) as connection:
            appended = append(connection, [entry.event for entry in admitted], at)
            outcomes, conflicts = _tell(decisions, appended)
            _keep(connection, [*refusals, *conflicts], at)
        return outcomes

    def check(self) -> None:
        """Touch the database.

        Raises:
            DatabaseAway: it cannot be read.
        """
        with reading(self.engine) as connection:
            connection.execute(sa.select(rejections.c.id).limit(1))


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
    statement = insert(rejections)
    again = {"times": rejections.c.times + 1, "last_at": statement.excluded.last_at}
    naive = at.astimezone(UTC).replace(tzinfo=None)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["digest"], set_=again),
        [_row(rejection, naive) for rejection in refusals],
    )


def _row(rejection: Rejection, at: datetime) -> dict[str, object]:
    candidate = rejection.candidate
    return {
        "digest": hashlib.sha256(f"{rejection.reason}\n".encode() + candidate.raw).digest(),
        "reason": rejection.reason.value,
        "source": rejection.source,
        "event_id": rejection.id,
        "type": rejection.type,
        "contract": rejection.contract,
        "violations": [
            {"pointer": v.pointer, "keyword": v.keyword, "message": v.message}
            for v in rejection.violations
        ],
        "raw": candidate.raw,
        "origin": candidate.origin,
        "first_at": at,
        "last_at": at,
        "times": 1,
    }
