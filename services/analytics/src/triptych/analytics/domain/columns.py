"""Columns of tables and of answers: their types, and the values that stand in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum, auto
from typing import TypeAlias

from triptych.core.documents import nearest
from triptych.core.domain.time import utc
from triptych.core.errors import Kind, TriptychError

Cell: TypeAlias = str | int | float | Decimal | bool | date | datetime | None


Written: TypeAlias = str | Decimal | bool
"""A value, as a filter's text has it."""


class UnknownColumn(TriptychError):
    """There is no such column here."""

    kind = Kind.MALFORMED
    hint = "The metric's definition, or the table's schema, names those that there are."


class WrongValue(TriptychError):
    """The value is not of the column's type."""

    kind = Kind.MALFORMED
    hint = "Text stands in quotes, numbers and true or false do not; times are ISO 8601 text."


class ColumnType(StrEnum):
    """What the values of a column are."""

    TEXT = auto()
    INTEGER = auto()
    DECIMAL = auto()
    DOUBLE = auto()
    BOOLEAN = auto()
    DATE = auto()
    TIME = auto()
    """A moment, with its offset."""
    OTHER = auto()
    """Lists, structures and bytes: shown as text, and neither filtered nor sorted by."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an answer."""

    name: str
    type: ColumnType
    unit: str = ""


Columns: TypeAlias = Mapping[str, ColumnType]


def type_of(name: str, columns: Columns) -> ColumnType:
    """The type of the column of that name.

    Raises:
        UnknownColumn: there is none; with the nearest that there is.
    """
    if name not in columns:
        raise UnknownColumn(f"{name!r}: {nearest(name, columns)}")
    return columns[name]


def typed(value: Written, kind: ColumnType, name: str) -> Cell:
    """A value that somebody wrote, as one of a column.

    Raises:
        WrongValue: it is none.
    """
    try:
        match kind, value:
            case ColumnType.BOOLEAN, bool():
                return value
            case ColumnType.TEXT, str():
                return value
            case ColumnType.DATE, str():
                return date.fromisoformat(value)
            case ColumnType.TIME, str():
                return utc(datetime.fromisoformat(value))
            case (ColumnType.INTEGER | ColumnType.DECIMAL | ColumnType.DOUBLE), Decimal():
                return float(value) if kind is ColumnType.DOUBLE else value
    except (ValueError, OverflowError, TriptychError):
        pass  # it is told below
    told = f"'{value}'" if isinstance(value, str) else str(value).lower()
    raise WrongValue(f"{name} is of type {kind.value}, and {told} is not")
