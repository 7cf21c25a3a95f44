"""How DuckDB says what statements are made of."""

from typing import Any, Final

import sqlalchemy as sa

from triptych.analytics.application.ports import TableVersion
from triptych.analytics.domain.columns import ColumnType
from triptych.analytics.domain.query import ROW
from triptych.analytics.infrastructure.statements import SQL_TYPES, Dialect, Expression
from triptych.lake.table import Snapshot

_PLACE: Final = "CAST(file_index * 1099511627776 + file_row_number AS BIGINT)"
"""Where a row of Parquet files is: in which of them, and the how manieth there."""


def source(table: TableVersion, alias: str) -> sa.FromClause:
    """See `Dialect.source`: the files of the version, as they are."""
    snapshot = table.handle
    assert isinstance(snapshot, Snapshot)  # noqa: S101  # as `version` made it
    if not snapshot.files:
        none = [
            sa.cast(sa.null(), SQL_TYPES.get(kind, sa.Text())).label(name)
            for name, kind in table.columns.items()
        ]
        row: sa.ColumnElement[Any] = sa.literal_column("0").label(ROW)
        return sa.select(*none, row).where(sa.false()).subquery(alias)
    files = sa.bindparam(f"files_{table.name}", list(snapshot.files), type_=sa.ARRAY(sa.Text))
    options: list[sa.ColumnElement[Any]] = [
        sa.literal_column("union_by_name := true"),
        sa.literal_column("hive_partitioning := false"),
    ]
    read = sa.func.read_parquet(files, *options).table_valued(
        *table.columns, "file_index", "file_row_number", name=f"{alias}_files"
    )
    place = sa.literal_column(_PLACE, sa.BigInteger()).label(ROW)
    return sa.select(*(read.c[name] for name in table.columns), place).subquery(alias)


def _utc_bucket(unit: Expression, time: Expression) -> Expression:
    """To cut a plain timestamp down takes a fourth of the time: no calendar of a zone is asked."""
    plain = sa.func.make_timestamp(sa.func.epoch_us(time))
    return sa.func.make_timestamptz(sa.func.epoch_us(sa.func.date_trunc(unit, plain)))


def _quantile(share: float, column: Expression) -> Expression:
    return sa.cast(sa.func.quantile_cont(column, sa.literal(share)), sa.Double)


def _null(_: ColumnType) -> Expression:
    return sa.null()


DUCKDB: Final = Dialect(source, sa.func.avg, _quantile, _utc_bucket, _null)
