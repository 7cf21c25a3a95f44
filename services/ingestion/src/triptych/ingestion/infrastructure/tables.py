"""The tables that ingestion keeps beside the event log, in the same database."""

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from triptych.database.engine import UtcDateTime
from triptych.database.schema import Schema
from triptych.eventlog.log import SCHEMA as EVENT_LOG
from triptych.service.tables import access_schema

MIGRATE: Final = "ingestion migrate"
SCHEMAS: Final = (
    EVENT_LOG,
    Schema("ingestion", Path(__file__).parent / "migrations", MIGRATE),
    access_schema(MIGRATE),
)

metadata = sa.MetaData()

_SERIAL: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

rejections = sa.Table(
    "rejections",
    metadata,
    sa.Column("id", _SERIAL, primary_key=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("source", sa.Text),
    sa.Column("event_id", sa.Text),
    sa.Column("type", sa.Text),
    sa.Column("contract", sa.Text),
    sa.Column("violations", sa.JSON, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("event", sa.LargeBinary),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("first_at", UtcDateTime, nullable=False),
    sa.Column("last_at", UtcDateTime, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("replayed_at", UtcDateTime),
    sa.Index("rejections_digest_key", "digest", unique=True),
)
"""What was refused, as it arrived: the same thing, sent again, is one row that counts."""

answers = sa.Table(
    "answers",
    metadata,
    sa.Column("key", sa.LargeBinary(32), primary_key=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("body", sa.LargeBinary),
    sa.Column("until", UtcDateTime, nullable=False),
    sa.Index("ix_answers_until", "until"),
)
"""What requests with an idempotency key were answered; no status while they are in flight."""

loads = sa.Table(
    "loads",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)
"""How far files were loaded: so many records, whose bytes have this digest."""
