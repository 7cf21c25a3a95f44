"""What was refused, in a SQL database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from triptych.core.domain.json import Violation
from triptych.database.engine import reading, writing
from triptych.ingestion.application.ports import KeptRejection, RejectionFilter
from triptych.ingestion.domain.admission import Arrival, Reason
from triptych.ingestion.infrastructure.tables import rejections


@dataclass(frozen=True, slots=True)
class SqlRejections:
    """Knows what was refused."""

    engine: sa.Engine

    def list(self, wanted: RejectionFilter, before: int | None, limit: int) -> list[KeptRejection]:
        """See `Rejections.list`."""
        query = sa.select(rejections).order_by(rejections.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(rejections.c.id < before)
        if wanted.type is not None:
            query = query.where(rejections.c.type == wanted.type)
        if wanted.reason is not None:
            query = query.where(rejections.c.reason == wanted.reason.value)
        if wanted.since is not None:
            query = query.where(rejections.c.last_at >= wanted.since)
        if wanted.until is not None:
            query = query.where(rejections.c.last_at < wanted.until)
        if wanted.open is not None:
            waits = rejections.c.replayed_at.is_(None)
            query = query.where(waits if wanted.open else ~waits)
        with reading(self.engine) as connection:
            return [_kept(row) for row in connection.execute(query)]

    def get(self, id_: int) -> KeptRejection | None:
        """See `Rejections.get`."""
        with reading(self.engine) as connection:
            query = sa.select(rejections).where(rejections.c.id == id_)
            row = connection.execute(query).one_or_none()
        return _kept(row) if row else None

    def replayed(self, ids: Sequence[int], at: datetime) -> None:
        """See `Rejections.replayed`."""
        if not ids:
            return
        these = sa.update(rejections).where(rejections.c.id.in_(ids))
        with writing(self.engine) as connection:
            connection.execute(these.values(replayed_at=at))


def _kept(row: sa.Row[tuple[object, ...]]) -> KeptRejection:
    values = row._mapping  # noqa: SLF001  # SQLAlchemy's public name for it
    return KeptRejection(
        id=values["id"],
        arrival=Arrival(values["raw"], values["origin"], values["event"]),
        reason=Reason(values["reason"]),
        violations=tuple(Violation(**violation) for violation in values["violations"]),
        source=values["source"],
        event_id=values["event_id"],
        type=values["type"],
        contract=values["contract"],
        first_at=values["first_at"],
        last_at=values["last_at"],
        times=values["times"],
        replayed_at=values["replayed_at"],
    )
