"""Compute metrics with DuckDB over the files of a lake table's newest version."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from triptych.analytics.domain.metric import Function, Metric
from triptych.analytics.domain.query import Answer, Query, Row
from triptych.core.errors import Kind, TriptychError
from triptych.lake.errors import LakeAway
from triptych.lake.lake import Lake
from triptych.lake.table import Snapshot


class WrongColumn(TriptychError):
    """The metric names a column that the table does not have."""

    kind = Kind.CONFLICT
    hint = "Mend the metric's file, or the pipeline that writes the table."


class UnfitColumn(TriptychError):
    """The metric cannot be computed over columns of these types."""

    kind = Kind.CONFLICT
    hint = "Mend the metric's file, or the pipeline that writes the table."


# DuckDB speaks PostgreSQL's dialect; its own paramstyle is $1, $2.
_DIALECT: Final = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]

_FUNCTIONS: Final[Mapping[Function, Callable[[Any], sa.ColumnElement[Any]]]] = {
    Function.SUM: sa.func.sum,
    Function.COUNT: sa.func.count,
    Function.AVERAGE: sa.func.avg,
    Function.MINIMUM: sa.func.min,
    Function.MAXIMUM: sa.func.max,
}


class LakeTables:
    """Answers from the newest version of the lake's tables. Thread-safe."""

    def __init__(self, lake: Lake, connection: duckdb.DuckDBPyConnection) -> None:
        self._lake = lake
        self._connection = connection

    def aggregate(self, metric: Metric, query: Query) -> Answer:
        """See `Tables.aggregate`."""
        snapshot = self._lake.table(metric.table).snapshot()
        _check_columns(metric, snapshot)
        found = self._fetch(_statement(metric, query, snapshot)) if snapshot.files else []
        rows = tuple(_row(values, query) for values in found[: query.limit])
        return Answer(metric.table, snapshot.version, rows, truncated=len(found) > query.limit)

    def check(self) -> None:
        """Touch the lake.

        Raises:
            LakeAway: it cannot be read.
        """
        self._lake.names()

    def _fetch(self, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
        compiled = statement.compile(dialect=_DIALECT)
        names = compiled.positiontup or []
        values = [compiled.params[name] for name in names]
        try:
            with self._connection.cursor() as cursor:
                result: pa.Table = cursor.sql(str(compiled), params=values).to_arrow_table()
        except duckdb.BinderException as error:
            raise UnfitColumn(str(error).splitlines()[0]) from error
        except duckdb.Error as error:
            raise LakeAway(str(error).splitlines()[0]) from error
        return list(zip(*(column.to_pylist() for column in result.columns), strict=True))


@contextmanager
def open_tables(lake: Lake) -> Iterator[LakeTables]:
    """The tables of a lake, read by a DuckDB that can reach nothing else."""
    with duckdb.connect(":memory:") as connection:
        # Global: each answer is computed by a cursor, and a cursor inherits nothing else.
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute("SET allowed_directories = $1", [[str(lake.root)]])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield LakeTables(lake, connection)


def _statement(metric: Metric, query: Query, snapshot: Snapshot) -> sa.Select[Any]:
    files = sa.bindparam("files", list(snapshot.files), type_=sa.ARRAY(sa.Text))
    source = sa.func.read_parquet(files).table_valued(*snapshot.schema.names, name="rows")
    time = source.c[metric.time]
    bucket = (
        sa.func.date_trunc(sa.bindparam("grain", query.grain), time) if query.grain else sa.null()
    )
    dimensions = [source.c[name] for name in query.by]
    keys = [bucket.label("bucket"), *dimensions]
    measured = source.c[metric.measure.column] if metric.measure.column else sa.literal_column("*")
    statement = sa.select(*keys, _FUNCTIONS[metric.measure.function](measured)).select_from(source)
    if query.start:
        statement = statement.where(time >= query.start)
    if query.end:
        statement = statement.where(time < query.end)
    places: list[sa.ColumnElement[Any]] = [
        sa.literal_column(str(place + 1)) for place in range(len(keys))
    ]
    grouped = places if query.grain else places[1:]
    # One row more than asked for tells whether there are more.
    return statement.group_by(*grouped).order_by(*places).limit(query.limit + 1)


def _row(values: tuple[Any, ...], query: Query) -> Row:
    time, *dimensions, value = values
    return Row(time if query.grain else None, tuple(dimensions), value)


def _check_columns(metric: Metric, snapshot: Snapshot) -> None:
    named = {metric.time, *metric.dimensions, *filter(None, [metric.measure.column])}
    if missing := sorted(named - set(snapshot.schema.names)):
        raise WrongColumn(f"{metric.table!r} has no column {missing[0]!r}")
