"""What servers sign with is one of the tables that every service has."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Drop etl's own; cursors that were signed with it lead nowhere any more."""
    op.drop_table("etl_secrets")
