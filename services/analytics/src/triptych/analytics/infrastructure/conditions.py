"""Filters as conditions of SQL: every value is bound."""

from decimal import Decimal
from typing import Any, Protocol

import sqlalchemy as sa

from triptych.analytics.domain.columns import Cell
from triptych.analytics.domain.filters import (
    All,
    Among,
    Compare,
    Filter,
    IsNull,
    Like,
    Not,
    Operator,
    Some,
)


class Named(Protocol):
    """Columns, by their names."""

    def __getitem__(self, name: str, /) -> sa.ColumnElement[Any]:
        """The column of that name."""
        ...


def condition(found: Filter, columns: Named) -> sa.ColumnElement[bool]:
    """What a filter says, over these columns."""
    match found:
        case Compare(name, operator, value):
            return _compared(columns[name], operator, value)
        case Among(name, values):
            return sa.or_(*(_compared(columns[name], Operator.EQ, value) for value in values))
        case Like(name, pattern):
            return columns[name].like(pattern)
        case IsNull(name):
            return columns[name].is_(None)
        case Not(of):
            return sa.not_(condition(of, columns))
        case All(parts):
            return sa.and_(*(condition(part, columns) for part in parts))
        case Some(parts):
            return sa.or_(*(condition(part, columns) for part in parts))


def _compared(
    column: sa.ColumnElement[Any], operator: Operator, value: Cell
) -> sa.ColumnElement[bool]:
    bound = sa.literal(value, sa.Numeric() if isinstance(value, Decimal) else None)
    match operator:
        case Operator.EQ:
            return column == bound
        case Operator.NE:
            return column != bound
        case Operator.LT:
            return column < bound
        case Operator.LE:
            return column <= bound
        case Operator.GT:
            return column > bound
        case Operator.GE:
            return column >= bound
