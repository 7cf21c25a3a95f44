"""The checks that come with the service."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Self

from pydantic import Field, model_validator
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.domain.expressions import column


class NotNull(Part):
    """The columns have a value."""

    columns: tuple[str, ...] = Field(min_length=1, examples=[["invoice", "country"]])

    def rules(self) -> Iterator[tuple[str, exp.Expr]]:
        """See `Check.rules`."""
        for name in self.columns:
            yield f"{name} is missing", column(name).is_(exp.null()).not_()


class Range(Part):
    """A column lies between two numbers, both included; a missing value does, too."""

    column: str
    min: Decimal | None = None
    max: Decimal | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a range needs 'min' or 'max'")
        return self

    def rules(self) -> Iterator[tuple[str, exp.Expr]]:
        """See `Check.rules`."""
        missing = column(self.column).is_(exp.null())
        if self.min is not None:
            least = column(self.column) >= exp.Literal.number(str(self.min))
            yield f"{self.column} is less than {self.min}", missing.or_(least)
        if self.max is not None:
            most = column(self.column) <= exp.Literal.number(str(self.max))
            yield f"{self.column} is more than {self.max}", missing.or_(most)
