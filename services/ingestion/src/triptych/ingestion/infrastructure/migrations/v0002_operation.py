"""Replays, idempotency keys, loads that go on where they stopped.

It made API keys, too, before every service had them: see `triptych.service.tables`.
"""

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
