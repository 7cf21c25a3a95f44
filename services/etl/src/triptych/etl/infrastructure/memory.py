"""What sources remember, in a SQL database."""

from dataclasses import dataclass

import sqlalchemy as sa

from triptych.core.errors import Kind, TriptychError
from triptych.database.engine import reading, writing
from triptych.etl.infrastructure.tables import memories


class UnknownPosition(TriptychError):
    """Nobody remembers what the position of a table stands for."""

    kind = Kind.CONFLICT
    hint = "Set TRIPTYCH_STATE_URL to the database that the runs before had."


@dataclass(frozen=True, slots=True)
class SqlMemory:
    """The memory of one pipeline's source."""

    engine: sa.Engine
    pipeline: str

    def remember(self, state: object) -> int:
        """See `Memory.remember`."""
        with writing(self.engine) as connection:
            statement = sa.insert(memories).values(pipeline=self.pipeline, state=state)
            position: int = connection.execute(
                statement.returning(memories.c.position)
            ).scalar_one()
        return position

    def newest(self) -> int:
        """See `Memory.newest`."""
        query = sa.select(sa.func.max(memories.c.position)).where(
            memories.c.pipeline == self.pipeline
        )
        with reading(self.engine) as connection:
            return connection.execute(query).scalar_one() or 0

    def forget(self, until: int) -> None:
        """See `Memory.forget`."""
        with writing(self.engine) as connection:
            connection.execute(
                sa.delete(memories).where(
                    memories.c.pipeline == self.pipeline, memories.c.position <= until
                )
            )

    def recall(self, position: int) -> object:
        """See `Memory.recall`."""
        if position == 0:
            return None
        query = sa.select(memories.c.state).where(
            memories.c.position == position, memories.c.pipeline == self.pipeline
        )
        with reading(self.engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise UnknownPosition(f"{position} of {self.pipeline!r}")
        return row.state
