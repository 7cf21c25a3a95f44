"""Whose turn it is, in a SQL database."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from triptych.database.engine import reading, writing
from triptych.etl.domain.schedule import Turn
from triptych.etl.infrastructure.tables import turns


@dataclass(frozen=True, slots=True)
class SqlTurns:
    """Leases in etl's own database, which all servers share."""

    engine: sa.Engine

    def seen(self, pipelines: Collection[str], now: datetime) -> Mapping[str, Turn]:
        """See `Turns.seen`."""
        found = self._find(pipelines)
        if missing := [name for name in pipelines if name not in found]:
            self._add(missing, now)
            found = self._find(pipelines)
        return found

    def take(self, turn: Turn, owner: str, now: datetime, until: datetime) -> bool:
        """See `Turns.take`."""
        free = sa.or_(turns.c.ends_at.is_(None), turns.c.ends_at <= now)
        there = sa.and_(turns.c.pipeline == turn.pipeline, turns.c.last_at == turn.last_at)
        return self._change(sa.and_(there, free), owner=owner, ends_at=until)

    def keep(self, pipeline: str, owner: str, until: datetime) -> bool:
        """See `Turns.keep`."""
        return self._change(_of(pipeline, owner), ends_at=until)

    def give_back(self, pipeline: str, owner: str, had_at: datetime | None) -> None:
        """See `Turns.give_back`."""
        had = {} if had_at is None else {"last_at": had_at}
        self._change(_of(pipeline, owner), owner=None, ends_at=None, **had)

    def touch(self) -> None:
        """Touch the table.

        Raises:
            DatabaseAway: it cannot be read.
        """
        with reading(self.engine) as connection:
            connection.execute(sa.select(turns.c.pipeline).limit(1))

    def _add(self, pipelines: Collection[str], now: datetime) -> None:
        # Commands that serve nothing would wait for both dialects to be imported.
        from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415

        insert = postgresql.insert if self.engine.dialect.name == "postgresql" else sqlite.insert
        rows = [{"pipeline": name, "last_at": now} for name in sorted(pipelines)]
        with writing(self.engine) as connection:
            connection.execute(insert(turns).on_conflict_do_nothing(), rows)

    def _find(self, pipelines: Collection[str]) -> dict[str, Turn]:
        query = sa.select(turns).where(turns.c.pipeline.in_(pipelines))
        with reading(self.engine) as connection:
            return {row.pipeline: Turn(*row) for row in connection.execute(query)}

    def _change(self, where: sa.ColumnElement[bool], **values: datetime | str | None) -> bool:
        with writing(self.engine) as connection:
            statement = sa.update(turns).where(where).values(**values)
            return connection.execute(statement).rowcount > 0


def _of(pipeline: str, owner: str) -> sa.ColumnElement[bool]:
    return sa.and_(turns.c.pipeline == pipeline, turns.c.owner == owner)
