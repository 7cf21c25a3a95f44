"""What runs did, in a SQL database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from triptych.database.engine import reading, writing
from triptych.etl.application.ports import RunRecord, RunStatus
from triptych.etl.infrastructure.tables import runs


@dataclass(frozen=True, slots=True)
class SqlRuns:
    """The history of runs."""

    engine: sa.Engine

    def begin(self, run_id: str, pipeline: str, at: datetime) -> None:
        """See `Runs.begin`."""
        values = {"id": run_id, "pipeline": pipeline, "started_at": at, "outputs": []}
        with writing(self.engine) as connection:
            connection.execute(sa.insert(runs).values(**values, status=RunStatus.RUNNING.value))

    def end(self, run_id: str, at: datetime, outputs: list[str], error: str | None) -> None:
        """See `Runs.end`."""
        status = RunStatus.DONE if error is None else RunStatus.FAILED
        values = {"ended_at": at, "outputs": outputs, "error": error, "status": status.value}
        with writing(self.engine) as connection:
            connection.execute(sa.update(runs).where(runs.c.id == run_id).values(values))

    def newest(
        self,
        limit: int,
        pipeline: str | None = None,
        status: RunStatus | None = None,
        after: tuple[datetime, str] | None = None,
    ) -> list[RunRecord]:
        """Runs, the newest first; perhaps only those that come `after` the one that began then."""
        query = sa.select(runs).order_by(runs.c.started_at.desc(), runs.c.id).limit(limit)
        if pipeline is not None:
            query = query.where(runs.c.pipeline == pipeline)
        if status is not None:
            query = query.where(runs.c.status == status.value)
        if after is not None:
            moment, run_id = after
            same = sa.and_(runs.c.started_at == moment, runs.c.id > run_id)
            query = query.where(sa.or_(runs.c.started_at < moment, same))
        with reading(self.engine) as connection:
            return [_record(row) for row in connection.execute(query)]

    def find(self, run_id: str) -> RunRecord | None:
        """The run of that id."""
        with reading(self.engine) as connection:
            row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).one_or_none()
        return _record(row) if row else None


def _record(row: sa.Row[Any]) -> RunRecord:
    return RunRecord(
        row.id,
        row.pipeline,
        RunStatus(row.status),
        row.started_at,
        row.ended_at,
        tuple(row.outputs),
        row.error,
    )
