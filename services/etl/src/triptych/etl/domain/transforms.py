"""The transforms that come with the service."""

from typing import Annotated, ClassVar

from pydantic import Field
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.domain.expressions import Sql
from triptych.etl.domain.plugins import Drop

ColumnName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class Derive(Part):
    """Add columns that are computed from others."""

    drops: ClassVar[Drop | None] = None

    columns: dict[ColumnName, Sql] = Field(
        min_length=1,
        description="The new columns: name and expression.",
        examples=[{"revenue": "quantity * unit_price"}],
    )

    def apply(self, relation: exp.Table) -> exp.Select:
        """See `Transform.apply`."""
        new = [exp.alias_(sql.copy(), name, quoted=True) for name, sql in self.columns.items()]
        return exp.select(exp.Star(), *new).from_(relation)


class Filter(Part):
    """Keep the rows for which a condition is true; the others count as filtered."""

    drops: ClassVar[Drop | None] = Drop.FILTERED

    where: Sql = Field(description="The condition.", examples=["quantity > 0"])

    def apply(self, relation: exp.Table) -> exp.Select:
        """See `Transform.apply`."""
        return exp.select(exp.Star()).from_(relation).where(self.where.copy())
