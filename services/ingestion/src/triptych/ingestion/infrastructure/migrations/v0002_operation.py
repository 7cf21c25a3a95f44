"""Replays, idempotency keys, API keys, loads that go on where they stopped."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what a service in production needs; what was refused before can be replayed, too."""
    op.add_column("rejections", sa.Column("event", sa.LargeBinary))
    op.add_column("rejections", sa.Column("replayed_at", sa.DateTime))
    op.create_index("rejections_digest_key", "rejections", ["digest"], unique=True)
    op.create_table(
        "answers",
        sa.Column("key", sa.LargeBinary(32), primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("body", sa.LargeBinary),
        sa.Column("until", sa.DateTime, nullable=False),
    )
    op.create_index("ix_answers_until", "answers", ["until"])
    op.create_table(
        "loads",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("records", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime),
        sa.Column("revoked_at", sa.DateTime),
        sa.Column("event_types", sa.JSON, nullable=False),
        sa.Column("last_used_at", sa.DateTime),
    )
    table = op.create_table(
        "secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.bulk_insert(table, [{"name": "cursor", "value": secrets.token_bytes(32)}])
