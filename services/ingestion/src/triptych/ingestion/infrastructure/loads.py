"""How far files were loaded, in a SQL database."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from triptych.database.engine import reading, writing
from triptych.ingestion.application.load import Mark
from triptych.ingestion.infrastructure.tables import loads


@dataclass(frozen=True, slots=True)
class SqlMarks:
    """Remembers how far files were loaded."""

    engine: sa.Engine

    def get(self, name: str) -> Mark | None:
        """See `Marks.get`."""
        query = sa.select(loads.c.records, loads.c.digest).where(loads.c.name == name)
        with reading(self.engine) as connection:
            row = connection.execute(query).one_or_none()
        return Mark(row.records, row.digest) if row else None

    def put(self, name: str, mark: Mark, at: datetime) -> None:
        """See `Marks.put`."""
        row = {"name": name, "records": mark.records, "digest": mark.digest, "at": at}
        with writing(self.engine) as connection:
            insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            statement = insert(loads).values(row)
            connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))
