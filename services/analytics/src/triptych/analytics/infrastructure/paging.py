"""Answers page by page, in an order: by the place where a page begins, never by how many rows it skips."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

from triptych.analytics.application.ports import Part
from triptych.analytics.domain.columns import Cell
from triptych.analytics.domain.query import Order
from triptych.analytics.infrastructure.statements import Expression

BATCH_ROWS: Final = 10_240
"""So many rows of a long answer are in memory at once."""


def paged(statement: sa.Select[Any], order: Sequence[Order], part: Part) -> sa.Select[Any]:
    """Some rows of an answer, in this order, in which no two have the same place.

    One row more than the limit tells whether there are more. Backwards, the nearest come first.
    """
    answer = statement.subquery("found")
    backwards = part.place is not None and part.place.backwards
    page = sa.select(*answer.c)
    if part.place is not None:
        page = page.where(_beyond(answer, order, part.place.key, backwards=backwards))
    return page.order_by(*_sorting(answer, order, backwards=backwards)).limit(part.limit + 1)


def bounded(statement: sa.Select[Any], order: Sequence[Order], part: Part) -> sa.Select[Any]:
    """Of the last of these rows, and the first that follows, what the order goes by."""
    page = paged(statement, order, part).limit(None).order_by(None).subquery("page")
    columns = [page.c[each.column] for each in order]
    ordered = sa.select(*columns).order_by(*_sorting(page, order, backwards=False))
    return ordered.offset(part.limit - 1).limit(2)


def last_of(found: pa.Table) -> Sequence[Cell] | None:
    """The key of the last row, of what `bounded` found, if another follows."""
    if found.num_rows < 2:  # noqa: PLR2004  # the last, and what follows
        return None
    return [column[0].as_py() for column in found.columns]


def counted(statement: sa.Select[Any]) -> sa.Select[Any]:
    """How many rows an answer has."""
    return sa.select(sa.func.count()).select_from(statement.subquery("found"))


def _sorting(
    answer: sa.FromClause, order: Sequence[Order], *, backwards: bool
) -> Iterator[Expression]:
    for each in order:
        column = answer.c[each.column]
        sorting = column.desc() if each.descending != backwards else column.asc()
        yield sorting.nulls_first() if backwards else sorting.nulls_last()


def _beyond(
    answer: sa.FromClause, order: Sequence[Order], key: Sequence[Cell], *, backwards: bool
) -> Expression:
    """What lies after a key, or before it: alike in the first columns, and beyond in the next."""
    found: list[Expression] = []
    alike: list[Expression] = []
    for each, value in zip(order, key, strict=True):
        column = answer.c[each.column]
        found.append(sa.and_(*alike, _after(column, each, value, backwards=backwards)))
        alike.append(column.is_(None) if value is None else column == sa.literal(value))
    return sa.or_(*found)


def _after(column: Expression, order: Order, value: Cell, *, backwards: bool) -> Expression:
    """Rows without a value come last: nothing is after them, and all others are before."""
    if value is None:
        return column.is_not(None) if backwards else sa.false()
    bound = sa.literal(value)
    beyond = column < bound if order.descending != backwards else column > bound
    return beyond if backwards else sa.or_(beyond, column.is_(None))
