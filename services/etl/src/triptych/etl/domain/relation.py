"""A relation: rows of known columns, which an engine holds under a name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from sqlglot import exp

from triptych.core.documents import nearest

ROW: Final = "_row"
"""The framework's own column: the number of the row that was read, from which a row was made."""
INTERNAL: Final = "_"
"""Columns that begin with this are the framework's own: no expression sees them."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A named relation. Its name and its columns are quoted wherever they are used."""

    name: str
    types: Mapping[str, str]
    """All of its columns, the framework's included, and their types: see `types.TypeName`."""

    @property
    def columns(self) -> list[str]:
        """The names of its columns, without the framework's."""
        return [name for name in self.types if not name.startswith(INTERNAL)]

    @property
    def table(self) -> exp.Table:
        """A reference to it."""
        return exp.table_(self.name, quoted=True)

    def select(self, projections: Iterable[exp.Expr], *, of: exp.Expr | None = None) -> exp.Select:
        """A query for these columns, which keeps the number of each row."""
        kept = [column(ROW)] if ROW in self.types else []
        return exp.select(*kept, *projections).from_(self.table if of is None else of)

    def all(self) -> exp.Select:
        """A query for all of its columns."""
        return self.select(column(name) for name in self.columns)

    def public(self) -> exp.Subquery:
        """Its columns without the framework's, as something to select from."""
        columns = [column(name) for name in self.columns]
        return exp.select(*columns).from_(self.table).subquery()

    def check_has(self, names: Iterable[str]) -> None:
        """Make sure that it has these columns.

        Raises:
            ValueError: with those that it has not, and the nearest that it has.
        """
        known = self.columns
        if missing := [name for name in names if name not in known]:
            raise ValueError(
                "; ".join(
                    f"there is no column {name!r}: {nearest(name, known)}" for name in missing
                )
            )


Inputs: TypeAlias = Mapping[str, Relation]
"""The relations that a pipeline reads beside its source, by their names."""


def keeps_rows(query: exp.Query, of: Relation) -> bool:
    """Whether a query shows by its form that it makes one row of each: nothing but projections."""
    if not isinstance(query, exp.Select):
        return False
    parts = {name for name, value in query.args.items() if value}
    source = query.args.get("from_")
    return (
        parts <= {"expressions", "from_", "kind"}
        and source is not None
        and source.this == of.table
        and not any(query.find_all(exp.AggFunc, exp.UDTF, exp.Explode, exp.Subquery))
    )


def column(name: str, of: str | None = None) -> exp.Column:
    """A reference to a column, quoted."""
    return exp.column(name, table=of, quoted=True)


def named(expression: exp.Expr, name: str) -> exp.Expr:
    """An expression as a column of that name, quoted."""
    return exp.alias_(expression, name, quoted=True)


def text(value: str) -> exp.Literal:
    """A piece of text in a query."""
    return exp.Literal.string(value)


def as_json(rows: Relation, alias: str) -> exp.Expr:
    """Each row as text: a JSON object of its columns (RFC 8259)."""
    members = [
        exp.PropertyEQ(
            this=exp.to_identifier(name, quoted=True),
            expression=(
                _number(column(name, alias)) if kind in ("double", "float") else column(name, alias)
            ),
        )
        for name, kind in rows.types.items()
        if name in rows.columns
    ]
    return exp.Cast(this=to_json(exp.Struct(expressions=members)), to=exp.DataType.build("text"))


def to_json(value: exp.Expr) -> exp.Expr:
    """A value as JSON tells it."""
    return exp.Anonymous(this="to_json", expressions=[value])


def _number(value: exp.Expr) -> exp.Expr:
    """A double in JSON, which has no infinity: it is text, as in Protocol Buffers' mapping."""
    infinity, less = (
        exp.Cast(this=text(name), to=exp.DataType.build("double"))
        for name in ("Infinity", "-Infinity")
    )
    return (
        exp.case()  # in the order of SQL, where NaN is the greatest
        .when(exp.GT(this=value.copy(), expression=infinity), to_json(text("NaN")))
        .when(exp.GTE(this=value.copy(), expression=infinity.copy()), to_json(text("Infinity")))
        .when(exp.LTE(this=value.copy(), expression=less), to_json(text("-Infinity")))
        .else_(to_json(value))
    )
