"""Checks of all the rows of a run together."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.domain.plugins import Demand
from triptych.etl.domain.relation import Inputs, Relation, column
from triptych.etl.domain.types import TypeName


class RowCount(Part):
    """A run has so many rows."""

    min: int | None = Field(default=None, ge=0, examples=[1])
    max: int | None = Field(default=None, ge=0, examples=[1_000_000])

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a row count needs 'min' or 'max'")
        return self

    def demands(self, relation: Relation, inputs: Inputs) -> Iterator[Demand]:
        """See `TableCheck.demands`."""
        count = exp.Count(this=exp.Star())
        if self.min is not None:
            holds = exp.select(exp.GTE(this=count.copy(), expression=exp.convert(self.min)))
            yield Demand(f"there are fewer than {self.min} rows", holds.from_(relation.table))
        if self.max is not None:
            holds = exp.select(exp.LTE(this=count.copy(), expression=exp.convert(self.max)))
            yield Demand(f"there are more than {self.max} rows", holds.from_(relation.table))


class Freshness(Part):
    """The newest time in a column is no older than so long; without rows it is not asked for."""

    column: str = Field(examples=["event_time"])
    max_age: timedelta = Field(description="Such as PT6H or P1D (ISO 8601).", examples=["P1D"])

    def demands(self, relation: Relation, inputs: Inputs) -> Iterator[Demand]:
        """See `TableCheck.demands`."""
        relation.check_has([self.column])
        seconds = exp.Interval(
            this=exp.Literal.string(str(int(self.max_age.total_seconds()))), unit=exp.var("SECOND")
        )
        newest = exp.Max(this=column(self.column))
        young = exp.GTE(
            this=newest, expression=exp.Sub(this=exp.CurrentTimestamp(), expression=seconds)
        )
        holds = exp.Coalesce(this=exp.Paren(this=young), expressions=[exp.true()])
        fault = f"the newest {self.column} is older than {self.max_age}"
        yield Demand(fault, exp.select(holds).from_(relation.table))


class Schema(Part):
    """The rows have these columns, of these types, and no others."""

    columns: dict[str, TypeName] = Field(min_length=1, examples=[{"invoice": "text"}])

    def demands(self, relation: Relation, inputs: Inputs) -> Iterator[Demand]:
        """See `TableCheck.demands`."""
        relation.check_has(self.columns)
        if extra := sorted(set(relation.columns) - self.columns.keys()):
            yield Demand(f"there are other columns: {', '.join(extra)}", exp.select(exp.false()))
        for name, kind in self.columns.items():
            if (found := relation.types[name]) != kind:
                yield Demand(f"{name} is no {kind}, but {found}", exp.select(exp.false()))
