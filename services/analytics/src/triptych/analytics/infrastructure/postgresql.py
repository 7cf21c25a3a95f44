"""How PostgreSQL says what statements are made of."""

from typing import Any, Final

import sqlalchemy as sa

from triptych.analytics.application.ports import TableVersion
from triptych.analytics.domain.columns import ColumnType
from triptych.analytics.domain.query import ROW
from triptych.analytics.infrastructure.statements import SQL_TYPES, Dialect, Expression


def source(table: TableVersion, alias: str) -> sa.FromClause:
    """See `Dialect.source`: what has no type of ours is text."""
    found = table.handle
    assert isinstance(found, sa.Table)  # noqa: S101  # as `version` made it
    columns = [
        sa.cast(found.c[name], sa.Text).label(name) if kind is ColumnType.OTHER else found.c[name]
        for name, kind in table.columns.items()
    ]
    return sa.select(*columns, sa.literal_column(_PLACE, sa.BigInteger()).label(ROW)).subquery(
        alias
    )


_POINT: Final = "(CAST(CAST(ctid AS text) AS point))"  # (page,row)
_PLACE: Final = f"CAST({_POINT}[0] AS bigint) * 65536 + CAST({_POINT}[1] AS bigint)"
"""Where a row is in the table's file: no row moves without being written anew."""


def column_type(kind: sa.types.TypeEngine[Any]) -> ColumnType:
    """What the values of a column are."""
    match kind:
        case sa.Boolean():
            return ColumnType.BOOLEAN
        case sa.Integer():
            return ColumnType.INTEGER
        case sa.Float():
            return ColumnType.DOUBLE
        case sa.Numeric():
            return ColumnType.INTEGER if kind.scale == 0 else ColumnType.DECIMAL
        case sa.DateTime(timezone=True):
            return ColumnType.TIME
        case sa.Date():
            return ColumnType.DATE
        case sa.String():
            return ColumnType.TEXT
        case _:
            return ColumnType.OTHER


def _utc_bucket(unit: Expression, time: Expression) -> Expression:
    return sa.func.date_trunc(unit, time, sa.literal("UTC"))


def _quantile(share: float, column: Expression) -> Expression:
    found = sa.func.percentile_cont(sa.literal(share, sa.Double)).within_group(column)
    return sa.cast(found, sa.Double)


def _average(column: Expression) -> Expression:
    return sa.cast(sa.func.avg(column), sa.Double)


def _null(kind: ColumnType) -> Expression:
    """A union takes an untyped NULL for text."""
    return sa.cast(sa.null(), SQL_TYPES.get(kind, sa.Text()))


POSTGRESQL: Final = Dialect(source, _average, _quantile, _utc_bucket, _null)
