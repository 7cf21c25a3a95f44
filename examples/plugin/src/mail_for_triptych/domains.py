"""What stands after the @ of a mail address."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.domain.plugins import Effect, Rule
from triptych.etl.domain.relation import Inputs, Relation, column, named, text
from triptych.etl.domain.types import ColumnName


class MailDomain(Part):
    """Add the domain of a mail address, in lower case."""

    effect: ClassVar = Effect.KEEPS

    column: str = Field(description="The column with the address.", examples=["sender"])
    into: ColumnName = Field(description="The new column.", examples=["domain"])

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Select:
        relation.check_has([self.column])
        there = [column(name) for name in relation.columns]
        return relation.select([*there, named(_domain(self.column), self.into)])


class AllowedDomains(Part):
    """A mail address is of one of some domains."""

    column: str = Field(description="The column with the address.", examples=["sender"])
    domains: tuple[str, ...] = Field(min_length=1, examples=[["example.com"]])

    def rules(self, relation: Relation, inputs: Inputs) -> Iterator[Rule]:
        relation.check_has([self.column])
        found = exp.Coalesce(this=_domain(self.column), expressions=[text("")])
        yield Rule(f"{self.column} is of another domain", found.isin(*map(text, self.domains)))


def _domain(address: str) -> exp.Expr:
    at = exp.StrPosition(this=column(address), substr=text("@"))
    after = exp.Substring(this=column(address), start=at + exp.convert(1))
    plain = exp.Trim(this=after, expression=text(">"), position="TRAILING")
    return exp.case().when(at.copy() > exp.convert(0), exp.Lower(this=plain))
