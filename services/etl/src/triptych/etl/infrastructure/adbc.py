"""Read from PostgreSQL as Arrow: three times as fast as row by row, and never all rows at once."""

from collections.abc import Iterator
from typing import Final

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import sqlalchemy as sa
from adbc_driver_manager import Error
from sqlalchemy.dialects.postgresql.base import PGDialect

from triptych.etl.infrastructure.databases import STATEMENT_SECONDS, DatabaseFailed

# Without placeholders the driver copies the rows out as a stream; with them it would fetch all
# rows first. The library writes the values, which it quotes.
_DIALECT: Final = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def read(url: sa.URL, query: sa.Select[tuple[object, ...]]) -> Iterator[pa.RecordBatch]:
    """The rows of a query, with the columns' types as the database has them.

    Raises:
        DatabaseFailed: with what the database says, without values.
    """
    text = str(query.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with adbc.connect(address) as connection, connection.cursor() as cursor:
            cursor.execute("SET timezone = 'UTC'")
            cursor.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
            cursor.execute(text)
            yield from map(_plain, cursor.fetch_record_batch())
    except (Error, pa.ArrowException, OSError) as error:
        raise DatabaseFailed(_first_line(error)) from None


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Types that Arrow has no name for, such as numeric, as the text that they come as."""
    columns = [c.storage if isinstance(c, pa.ExtensionArray) else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _first_line(error: Exception) -> str:
    """What the database says, without the driver's own words and the statement."""
    told = str(error).partition("\n")[0]
    return told.partition("ERROR:")[2].strip() or told
