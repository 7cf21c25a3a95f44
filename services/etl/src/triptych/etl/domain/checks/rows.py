"""Checks of each row."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.domain.expressions import Sql
from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import Inputs, Relation, column, named, text
from triptych.etl.domain.transforms.relations import known


def _missing(name: str) -> exp.Is:
    return column(name).is_(exp.null())


class NotNull(Part):
    """The columns have a value."""

    columns: tuple[str, ...] = Field(min_length=1, examples=[["invoice", "country"]])

    def rules(self, relation: Relation, inputs: Inputs) -> Iterator[Rule]:
        """See `RowCheck.rules`."""
        relation.check_has(self.columns)
        for name in self.columns:
            yield Rule(f"{name} is missing", _missing(name).not_())


class Range(Part):
    """A column lies between two numbers, both included; a missing value does, too."""

    column: str = Field(examples=["quantity"])
    min: Decimal | None = Field(default=None, examples=[1])
    max: Decimal | None = Field(default=None, examples=[1000])

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a range needs 'min' or 'max'")
        return self

    def rules(self, relation: Relation, inputs: Inputs) -> Iterator[Rule]:
        """See `RowCheck.rules`."""
        relation.check_has([self.column])
        if self.min is not None:
            least = column(self.column) >= exp.Literal.number(str(self.min))
            yield Rule(f"{self.column} is less than {self.min}", _missing(self.column).or_(least))
        if self.max is not None:
            most = column(self.column) <= exp.Literal.number(str(self.max))
            yield Rule(f"{self.column} is more than {self.max}", _missing(self.column).or_(most))


_SHOWN: Final = 5  # of the values that are accepted


class Accepted(Part):
    """A column has one of some values; a missing value is accepted, too."""

    column: str = Field(examples=["payment"])
    values: tuple[str, ...] = Field(min_length=1, examples=[["card", "cash"]])

    def rules(self, relation: Relation, inputs: Inputs) -> Iterator[Rule]:
        """See `RowCheck.rules`."""
        relation.check_has([self.column])
        listed = column(self.column).isin(*(text(value) for value in self.values))
        more = ", …" if len(self.values) > _SHOWN else ""
        shown = ", ".join(self.values[:_SHOWN]) + more
        yield Rule(f"{self.column} is none of {shown}", _missing(self.column).or_(listed))


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is no pattern: {error}") from None
    return value


class Matches(Part):
    """All of a column's text matches a regular expression; a missing value does, too."""

    column: str = Field(examples=["invoice"])
    pattern: Annotated[str, AfterValidator(_pattern)] = Field(examples=["C?[0-9]{6}"])

    def rules(self, relation: Relation, inputs: Inputs) -> Iterator[Rule]:
        """See `RowCheck.rules`."""
        relation.check_has([self.column])
        whole = exp.RegexpLike(this=column(self.column), expression=text(f"^({self.pattern})$"))
        fault = f"{self.column} does not match {self.pattern}"
        yield Rule(fault, _missing(self.column).or_(whole))


class Unique(Part):
    """No two rows of a run have the same values; rows without one of the values are passed over."""

    columns: tuple[str, ...] = Field(min_length=1, examples=[["invoice"]])

    def rules(self, relation: Relation, inputs: Inputs) -> Iterator[Rule]:
        """See `RowCheck.rules`."""
        relation.check_has(self.columns)
        keys = [column(name) for name in self.columns]
        alone = exp.Window(this=exp.Count(this=exp.Star()), partition_by=keys).eq(1)
        missing = exp.or_(*(_missing(name) for name in self.columns))
        fault = f"{', '.join(self.columns)}: several rows have the same"
        yield Rule(fault, missing.or_(alone))


class References(Part):
    """The values of columns are those of a row of an input; rows without one are passed over."""

    input: str = Field(description="A name from `inputs`.", examples=["products"])
    on: dict[str, str] = Field(
        min_length=1,
        description="The columns that have to be equal: here, and in the input.",
        examples=[{"product": "id"}],
    )

    def rules(self, relation: Relation, inputs: Inputs) -> Iterator[Rule]:
        """See `RowCheck.rules`."""
        other = known(inputs, self.input)
        relation.check_has(self.on)
        other.check_has(self.on.values())
        there = f"_{self.input}_{'_'.join(self.on)}"
        found = column("_found", there)
        names = [column(name) for name in self.on.values()]
        distinct = exp.select(*names, named(exp.true(), "_found")).from_(other.table).distinct()
        equal = [
            column(mine, relation.name).eq(column(its, there)) for mine, its in self.on.items()
        ]
        join = exp.Join(
            this=distinct.subquery(exp.to_identifier(there, quoted=True)),
            side="LEFT",
            on=exp.and_(*equal),
        )
        missing = exp.or_(*(_missing_of(relation.name, name) for name in self.on))
        fault = f"{', '.join(self.on)}: {self.input} has no such row"
        yield Rule(fault, missing.or_(found.is_(exp.null()).not_()), join)


def _missing_of(relation: str, name: str) -> exp.Is:
    return column(name, relation).is_(exp.null())


class Expression(Part):
    """A condition holds; where it is neither true nor false, it does, too."""

    holds: Sql = Field(examples=["quantity * unit_price < 100000"])
    fault: str | None = Field(
        default=None, description="What is wrong with a row for which it does not."
    )

    def rules(self, relation: Relation, inputs: Inputs) -> Iterator[Rule]:
        """See `RowCheck.rules`."""
        fault = self.fault or f"not {self.holds.sql('duckdb')}"
        holds = exp.Coalesce(this=exp.Paren(this=self.holds.copy()), expressions=[exp.true()])
        yield Rule(fault, holds)
