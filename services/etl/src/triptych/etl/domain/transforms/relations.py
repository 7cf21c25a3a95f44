"""Transforms that bring in other relations, or make rows of another kind."""

from collections.abc import Iterator
from enum import StrEnum, auto
from typing import ClassVar

from pydantic import Field
from sqlglot import exp

from triptych.core.documents import Part, nearest
from triptych.core.domain.time import Grain
from triptych.etl.domain.expressions import Aggregate as AggregateSql
from triptych.etl.domain.plugins import Demand, Effect
from triptych.etl.domain.relation import Inputs, Relation, column, named
from triptych.etl.domain.types import ColumnName


def known(inputs: Inputs, name: str) -> Relation:
    """The input of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in inputs:
        raise ValueError(f"there is no input {name!r}: {nearest(name, inputs)}")
    return inputs[name]


class Kind(StrEnum):
    """Which rows a join keeps."""

    LEFT = auto()
    """All: where nothing matches, the new columns are null."""
    INNER = auto()
    """Those that something matches; the others count as filtered."""


class Join(Part):
    """Add the columns of an input's row that has the same values in some columns."""

    input: str = Field(description="A name from `inputs`.", examples=["products"])
    on: dict[str, str] = Field(
        min_length=1,
        description="The columns that have to be equal: here, and in the input.",
        examples=[{"product": "id"}],
    )
    kind: Kind = Kind.LEFT
    columns: dict[str, ColumnName] = Field(
        min_length=1,
        description="The input's columns that are added, and their names from then on.",
        examples=[{"name": "product_name"}],
    )
    many: bool = Field(
        default=False,
        description="Several rows of the input may match, each of which makes a row.",
    )

    @property
    def effect(self) -> Effect:
        """See `Transform`."""
        if self.many:
            return Effect.REGRAINS
        return Effect.FILTERS if self.kind is Kind.INNER else Effect.KEEPS

    def demands(self, relation: Relation, inputs: Inputs) -> Iterator[Demand]:
        """What keeps a row from becoming several."""
        if self.many:
            return
        keys = [column(name) for name in self.on.values()]
        several = (
            exp.select(*(key.copy() for key in keys))
            .from_(known(inputs, self.input).table)
            .where(*(key.copy().is_(exp.null()).not_() for key in keys))
            .group_by(*(key.copy() for key in keys))
            .having(exp.Count(this=exp.Star()) > 1)
        )
        none = exp.select(exp.Count(this=exp.Star()).eq(0)).from_(several.subquery("several"))
        names = ", ".join(self.on.values())
        yield Demand(f"{self.input} has several rows with the same {names} (see `many`)", none)

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Select:
        """See `Transform.apply`."""
        other = known(inputs, self.input)
        relation.check_has(self.on)
        other.check_has([*self.on.values(), *self.columns])
        equal = [column(here, "here").eq(column(there, "there")) for here, there in self.on.items()]
        kept = [column(name, "here") for name in relation.types]
        new = [named(column(name, "there"), alias) for name, alias in self.columns.items()]
        return (
            exp.select(*kept, *new)
            .from_(exp.alias_(relation.table, "here", table=True))
            .join(
                exp.alias_(other.table, "there", table=True),
                on=exp.and_(*equal),
                join_type=self.kind.value,
            )
        )


class Time(Part):
    """A column of times, cut down to a grain."""

    column: str
    grain: Grain
    into: ColumnName = Field(description="The new column: when the grain's period begins, in UTC.")


class Aggregate(Part):
    """Sum rows up by columns: a row comes out for each group."""

    effect: ClassVar = Effect.REGRAINS

    by: tuple[str, ...] = Field(default=(), examples=[["country"]])
    time: Time | None = None
    measures: dict[ColumnName, AggregateSql] = Field(
        min_length=1, examples=[{"revenue": "sum(quantity * unit_price)", "lines": "count(*)"}]
    )

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Select:
        """See `Transform.apply`."""
        relation.check_has([*self.by, *([self.time.column] if self.time else [])])
        groups: list[tuple[exp.Expr, str]] = [(column(name), name) for name in self.by]
        if self.time is not None:
            unit = exp.var(self.time.grain.value.upper())
            cut = exp.TimestampTrunc(this=column(self.time.column), unit=unit)
            groups.insert(0, (cut, self.time.into))
        measures = [named(sql.copy(), name) for name, sql in self.measures.items()]
        return (
            exp.select(*(named(group, name) for group, name in groups), *measures)
            .from_(relation.table)
            .group_by(*(group.copy() for group, _ in groups))
        )
