"""The tables that every service keeps in its own database: who may do what, and what it signs with."""

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from triptych.database.engine import UtcDateTime, reading
from triptych.database.schema import Schema

metadata = sa.MetaData()

api_keys: Final = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("revoked_at", UtcDateTime),
    sa.Column("event_types", sa.JSON, nullable=False),
    sa.Column("last_used_at", UtcDateTime),
)
"""Who may do what. Of a key's secret only a hash is kept."""

secrets: Final = sa.Table(
    "secrets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
"""What all replicas must sign alike: made at random, once."""


def access_schema(migrate: str) -> Schema:
    """The tables' versions, in the database of the service whose command is `migrate`."""
    return Schema("service", Path(__file__).parent / "migrations", migrate)


def cursor_secret(engine: sa.Engine) -> bytes:
    """What all replicas of a service sign their cursors with.

    Raises:
        DatabaseAway: the database cannot be read.
    """
    query = sa.select(secrets.c.value).where(secrets.c.name == "cursor")
    with reading(engine) as connection:
        value: bytes = connection.execute(query).scalar_one()
    return value
