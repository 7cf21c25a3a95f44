"""Tables whose rows arrive in numbered commits: how far each writer is in each, and how many there were.

Who writes such a table moves its row here in the same transaction; who reads it knows by that which
version of the table it sees.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

positions: Final = sa.Table(
    "triptych_positions",
    sa.MetaData(),
    sa.Column("writer", sa.String(200), primary_key=True),
    sa.Column("target", sa.String(200), primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("committed_at", sa.DateTime(timezone=True), nullable=False),
)
"""`target` is a table, with its schema if it is not the usual one; `version` begins at 0."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The newest commit to a table."""

    version: int
    """How many commits there were before, by all writers."""
    at: datetime


def newest(connection: sa.Connection, target: str) -> Commit | None:
    """The newest commit to a table; `None` if nobody has committed anything to it."""
    if not sa.inspect(connection).has_table(positions.name):
        return None
    commits = sa.func.sum(positions.c.version + 1)
    asked = sa.select(commits, sa.func.max(positions.c.committed_at))
    number, at = connection.execute(asked.where(positions.c.target == target)).one()
    return None if number is None else Commit(int(number) - 1, at)
