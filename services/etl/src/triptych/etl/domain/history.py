"""How new rows meet the rows of a table by their keys: what the table's rows are then."""

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from triptych.etl.domain.relation import Relation, column, named

VALID_FROM: Final = "valid_from"
VALID_TO: Final = "valid_to"
CURRENT: Final = "is_current"
SPAN: Final = (VALID_FROM, VALID_TO, CURRENT)
"""The columns of a table that keeps what rows were before (slowly changing dimension, type 2)."""


def merged(old: Relation, new: Relation, keys: Sequence[str]) -> exp.Query:
    """The old rows whose key is not among the new ones, and the new rows."""
    there = _of(old.columns, "old").from_(_as(old, "old")).join(*_same(new, keys), join_type="anti")
    arrived = _of(old.columns).from_(new.table)
    return exp.union(there, arrived, distinct=False)


def versioned(old: Relation | None, new: Relation, keys: Sequence[str], at: str) -> exp.Select:
    """The table's rows when each is a version of what its key stands for, valid for some time.

    A version begins at the time in the column `at`, and ends when the next one begins. Rows may
    come late, and take their place between the versions that are known. A row that changes nothing
    makes no version: that it was there is forgotten.
    """
    attributes = [name for name in new.columns if name not in (*keys, at)]
    known: exp.Query = (
        _of([*keys, *attributes])
        .select(named(column(at), VALID_FROM), named(exp.true(), "_new"))
        .from_(new.table)
    )
    if old is not None:
        there = _of([*keys, *attributes, VALID_FROM], "old").select(named(exp.false(), "_new"))
        there = there.from_(_as(old, "old"))
        known = exp.union(there, known, distinct=False)
    one_a_time = _numbered(known, [*keys, *attributes, VALID_FROM], [*keys, VALID_FROM])
    changes = _changes(one_a_time, keys, attributes)
    following = _over(exp.Lead(this=column(VALID_FROM)), keys)
    spans = _of([*keys, *attributes, VALID_FROM]).select(named(following, VALID_TO))
    spans = spans.from_(changes.subquery("changes"))
    current = column(VALID_TO).is_(exp.null())
    return (
        _of([*keys, *attributes, VALID_FROM, VALID_TO])
        .select(named(current, CURRENT))
        .from_(spans.subquery("spans"))
    )


def _numbered(rows: exp.Query, columns: Sequence[str], keys: Sequence[str]) -> exp.Select:
    """One row for each key: the new one, where there is one."""
    order = exp.Order(expressions=[exp.Ordered(this=column("_new"), desc=True, nulls_first=False)])
    number = exp.Window(
        this=exp.RowNumber(), partition_by=[column(key) for key in keys], order=order
    )
    numbered = _of(columns).select(named(number, "_number")).from_(rows.subquery("known"))
    first = column("_number").eq(exp.Literal.number(1))
    return _of(columns).from_(numbered.subquery("numbered")).where(first)


def _changes(rows: exp.Select, keys: Sequence[str], attributes: Sequence[str]) -> exp.Select:
    """The rows that differ from the one before them."""
    columns = [*keys, *attributes, VALID_FROM]
    differs: list[exp.Expr] = [_over(exp.RowNumber(), keys).eq(exp.Literal.number(1))]
    for name in attributes:
        before = _over(exp.Lag(this=column(name)), keys)
        differs.append(exp.NullSafeNEQ(this=column(name), expression=before))
    told = _of(columns).select(named(exp.or_(*differs), "_differs")).from_(rows.subquery("single"))
    return _of(columns).from_(told.subquery("told")).where(column("_differs"))


def _over(function: exp.Expr, keys: Sequence[str]) -> exp.Window:
    order = exp.Order(
        expressions=[exp.Ordered(this=column(VALID_FROM), desc=False, nulls_first=True)]
    )
    return exp.Window(this=function, partition_by=[column(key) for key in keys], order=order)


def _of(columns: Sequence[str], relation: str | None = None) -> exp.Select:
    return exp.select(*(column(name, relation) for name in columns))


def _as(relation: Relation, alias: str) -> exp.Expr:
    return exp.alias_(relation.table, alias, table=True)


def _same(new: Relation, keys: Sequence[str]) -> tuple[exp.Expr, exp.Expr]:
    """The new rows, joined to the old ones of the same key."""
    equal = [column(key, "old").eq(column(key, "new")) for key in keys]
    return _as(new, "new"), exp.and_(*equal)
