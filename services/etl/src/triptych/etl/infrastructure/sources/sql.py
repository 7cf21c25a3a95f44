"""The source `sql`: a table or a query of any database that SQLAlchemy has a driver for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Self, TypeAlias

import pyarrow as pa
import sqlalchemy as sa
from pydantic import Field, model_validator
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.application.ports import Batches, QueryFailed, Reading
from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import Relation
from triptych.etl.domain.secrets import Secret
from triptych.etl.domain.transforms.sql import Query
from triptych.etl.domain.types import TypeName
from triptych.etl.infrastructure import adbc, arrow
from triptych.etl.infrastructure.databases import (
    connect,
    reporting,
    sql_type,
    transaction,
    type_name,
)

_BATCH: Final = 10_000  # rows
_DIALECTS: Final = {"postgresql": "postgres", "mssql": "tsql"}
"""What sqlglot calls a dialect, where SQLAlchemy has another name for it."""

Columns: TypeAlias = Mapping[str, str]


class SqlRows(Part):
    """Read a table or a query of a SQL database: what is new in it by a column, or all of it."""

    url: Secret = Field(
        description="The database, as an SQLAlchemy URL.", examples=["${SHOP_DATABASE}"]
    )
    table: str | None = Field(default=None, min_length=1, examples=["orders"])
    schema_: str | None = Field(
        default=None, alias="schema", min_length=1, description="The schema that has the table."
    )
    query: Query | None = Field(
        default=None,
        description="A SELECT, in DuckDB's dialect; the database is asked in its own.",
        examples=["select id, total, changed_at from orders where total > 0"],
    )
    columns: dict[str, TypeName] = Field(
        default={},
        description="The columns and their types; those of the table if left out.",
        examples=[{"id": "bigint", "total": "decimal(18, 2)", "changed_at": "timestamptz"}],
    )
    cursor: str | None = Field(
        default=None,
        description="A column that only grows from row to row: rows above the last one are new.",
        examples=["changed_at"],
    )
    lag: timedelta | None = Field(
        default=None,
        description="How young rows are left for a later run, because others may still come before"
        " them: such as PT5M (ISO 8601). For a cursor that is a time.",
        examples=["PT5M"],
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("either 'table' or 'query' is to be told")
        if self.query is not None and not self.columns:
            raise ValueError("'query' needs 'columns'")
        if self.lag is not None and self.cursor is None:
            raise ValueError("'lag' needs 'cursor'")
        if self.columns and self.cursor is not None and self.cursor not in self.columns:
            raise ValueError(f"'cursor' is none of the columns: {self.cursor!r}")
        return self

    @property
    def whole(self) -> bool:
        """See `Source.whole`."""
        return self.cursor is None

    @property
    def origin(self) -> str:
        """See `Source.origin`."""
        return f"sql/{self.table or 'query'}"

    def newest(self, reading: Reading, after: int) -> int:
        """See `Source.newest`."""
        if self.cursor is None:
            return after + 1
        last = _restored(reading.memory.recall(after))
        with self._connected() as (connection, rows, _):
            cursor = rows.c[self.cursor]
            query = sa.select(sa.func.max(cursor))
            if last is not None:
                query = query.where(cursor > last)
            if self.lag is not None:
                query = query.where(cursor <= datetime.now(UTC) - self.lag)
            newest = connection.execute(query).scalar_one()
        return after if newest is None else reading.memory.remember(_kept(newest))

    def read(self, reading: Reading, after: int, until: int) -> Batches:
        """See `Source.read`: as long as rows up to a cursor's value neither come nor go."""
        with self._connected() as (_, _, kinds):
            schema = pa.schema([(name, arrow.data_type(kind)) for name, kind in kinds.items()])
        if self.whole:
            return Batches(schema, self._batches(schema, None, None))
        first, last = (_restored(reading.memory.recall(position)) for position in (after, until))
        return Batches(schema, self._batches(schema, first, last))

    def _batches(self, schema: pa.Schema, first: Any, last: Any) -> Iterator[pa.RecordBatch]:
        with self._connected() as (connection, rows, _):
            query = sa.select(rows)
            if self.cursor is not None:
                cursor = rows.c[self.cursor]
                query = query.where(cursor <= last).order_by(cursor)
                query = query if first is None else query.where(cursor > first)
            if connection.dialect.name == "postgresql":
                for batch in adbc.read(connection.engine.url, query):
                    yield _as(schema, batch.columns)
                return
            found = connection.execution_options(yield_per=_BATCH).execute(query)
            for part in found.partitions():
                yield _as(schema, list(zip(*part, strict=True)))

    @contextmanager
    def _connected(self) -> Iterator[tuple[sa.Connection, sa.Subquery, Columns]]:
        """A connection, the rows that are meant, and the types of their columns."""
        with reporting(), connect(self.url).connect() as connection, transaction(connection):
            kinds = self.columns or self._reflected(connection)
            columns = (sa.column(name, sql_type(kind)) for name, kind in kinds.items())
            if self.query is None:
                yield connection, sa.select(self._there(*columns)).subquery(), kinds
            else:
                dialect = connection.dialect.name
                text = self.query.sql(_DIALECTS.get(dialect, dialect), identify=True)
                # A colon would begin a parameter.
                asked = sa.text(text.replace("\\", "\\\\").replace(":", "\\:")).columns(*columns)
                yield connection, asked.subquery(), kinds

    def _there(self, *columns: sa.ColumnClause[Any]) -> sa.TableClause:
        return sa.table(str(self.table), *columns, schema=self.schema_)

    def _reflected(self, connection: sa.Connection) -> dict[str, str]:
        kinds = {}
        for found in sa.inspect(connection).get_columns(str(self.table), self.schema_):
            if (kind := type_name(found["type"])) is None:
                raise QueryFailed(
                    f"table {self.table!r}: column {found['name']!r} has the type {found['type']}:"
                    " name the columns to read under 'columns', with types that they can be read as"
                )
            kinds[found["name"]] = kind
        return kinds

    def given(self, rows: Sequence[Mapping[str, Any]]) -> Batches:
        """See `Source.given`."""
        if not self.columns:
            table = pa.Table.from_pylist([dict(row) for row in rows])
            return Batches(table.schema, table.to_batches())
        schema = pa.schema([(name, arrow.data_type(kind)) for name, kind in self.columns.items()])
        cells = {name: [row.get(name) for row in rows] for name in self.columns}
        text = pa.table(
            {name: pa.array(map(_text, values), pa.string()) for name, values in cells.items()}
        )
        return Batches(schema, text.cast(schema).to_batches())

    def written(self, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """See `Source.written`."""
        return raw

    def decode(self, raw: Relation) -> exp.Select:
        """See `Source.decode`."""
        return raw.all()

    def rules(self, raw: Relation) -> Iterator[Rule]:
        """See `Source.rules`. The database has typed the columns already."""
        yield from ()


def _as(schema: pa.Schema, columns: Sequence[pa.Array | tuple[Any, ...]]) -> pa.RecordBatch:
    arrays = [_column(values, field) for values, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _column(values: pa.Array | tuple[Any, ...], field: pa.Field) -> pa.Array:
    try:
        if isinstance(values, pa.Array):
            return values.cast(field.type)
        return pa.array(values, field.type)
    except (pa.ArrowException, TypeError, ValueError):
        message = f"column {field.name!r} holds a value that is no {field.type}"
        raise QueryFailed(f"source sql: {message}") from None


def _kept(value: Any) -> dict[str, str]:
    """A cursor's value, as JSON can hold it."""
    for name, (kind, write, _) in _CURSORS.items():
        if type(value) is kind:
            return {name: write(value)}
    raise QueryFailed(f"source sql: a cursor cannot be a {type(value).__name__}")


def _restored(kept: Any) -> Any:
    if kept is None:
        return None
    [(name, value)] = kept.items()
    return _CURSORS[name][2](value)


_CURSORS: Final[Mapping[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]]] = {
    "number": (int, str, int),
    "decimal": (Decimal, str, Decimal),
    "text": (str, str, str),
    "time": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
}


def _text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat()
        case _:
            return str(value)
