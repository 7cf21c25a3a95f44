"""Transforms that leave rows out, or make several of one."""

from collections.abc import Iterator
from enum import StrEnum, auto
from typing import ClassVar

from pydantic import Field
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.domain.expressions import Sql
from triptych.etl.domain.members import is_array
from triptych.etl.domain.plugins import Effect, Rule
from triptych.etl.domain.relation import ROW, Inputs, Relation, column, named
from triptych.etl.domain.types import ColumnName


class Filter(Part):
    """Keep the rows for which a condition is true; the others count as filtered."""

    effect: ClassVar = Effect.FILTERS

    where: Sql = Field(description="The condition.", examples=["quantity > 0"])

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Select:
        """See `Transform.apply`."""
        return relation.all().where(self.where.copy())


class Keep(StrEnum):
    """Which of several rows stays."""

    FIRST = auto()
    LAST = auto()


_RANK = "_rank"


class Deduplicate(Part):
    """Keep one of the rows that share a key; the others count as duplicates."""

    effect: ClassVar = Effect.DEDUPLICATES

    keys: tuple[str, ...] = Field(min_length=1, examples=[["order_id"]])
    order: tuple[str, ...] = Field(
        default=(),
        description="The columns that tell which row is the first; then the order of reading.",
        examples=[["event_time"]],
    )
    keep: Keep = Keep.FIRST

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Select:
        """See `Transform.apply`."""
        relation.check_has([*self.keys, *self.order])
        read = [ROW] if ROW in relation.types else []
        down = self.keep is Keep.LAST
        order = [
            exp.Ordered(this=column(name), desc=down, nulls_first=not down)
            for name in [*self.order, *read]
        ]
        rank = exp.Window(
            this=exp.RowNumber(),
            partition_by=[column(name) for name in self.keys],
            order=exp.Order(expressions=order) if order else None,
        )
        ranked = relation.select(
            [*(column(name) for name in relation.columns), named(rank, _RANK)]
        ).subquery("ranked")
        return relation.select((column(name) for name in relation.columns), of=ranked).where(
            column(_RANK).eq(exp.Literal.number(1))
        )


class Explode(Part):
    """Make a row of each item of a column of JSON arrays; a row without items is left out."""

    effect: ClassVar = Effect.REGRAINS

    column: str = Field(
        description="The column that holds the arrays, as text.", examples=["lines"]
    )
    into: ColumnName = Field(
        description="The new column: an item's text, or its JSON.", examples=["line"]
    )

    def rules(self, relation: Relation, inputs: Inputs) -> Iterator[Rule]:
        """See `RowCheck.rules`."""
        relation.check_has([self.column])
        holds = exp.Paren(this=column(self.column).is_(exp.null()).or_(is_array(self.column)))
        yield Rule(f"{self.column} is no JSON array", holds)

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Select:
        """See `Transform.apply`."""
        relation.check_has([self.column])
        items = exp.Anonymous(
            this="from_json", expressions=[column(self.column), exp.Literal.string('["VARCHAR"]')]
        )
        there = [column(name) for name in relation.columns if name != self.column]
        return relation.select([*there, named(exp.Explode(this=items), self.into)])
