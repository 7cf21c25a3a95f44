"""The transform `sql`: a SELECT that a person wrote, over the rows and the inputs."""

from typing import Annotated, ClassVar, Final, TypeAlias

from pydantic import Field, PlainValidator, WithJsonSchema
from sqlglot import exp

from triptych.core.documents import Part, nearest
from triptych.etl.domain.expressions import AGGREGATES, ALLOWED, check, parse_one
from triptych.etl.domain.plugins import Effect
from triptych.etl.domain.relation import Inputs, Relation

ROWS: Final = "rows"
"""What the rows are called in the SELECT."""

_QUERY: Final[tuple[type[exp.Expr], ...]] = (
    *ALLOWED, *AGGREGATES,
    exp.Select, exp.From, exp.Join, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit,
    exp.Offset, exp.With, exp.CTE, exp.Subquery, exp.Union, exp.Except, exp.Intersect, exp.Alias,
    exp.TableAlias, exp.Table, exp.Exists, exp.Qualify,
    exp.Window, exp.WindowSpec, exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lag, exp.Lead,
    exp.FirstValue, exp.LastValue,
)  # fmt: skip


def parse_query(text: object) -> exp.Query:
    """The SELECT that `text` says.

    Raises:
        ValueError: it is none, or uses what is not allowed.
    """
    if isinstance(text, exp.Query):
        return text
    tree = parse_one(text)
    if not isinstance(tree, exp.Query):
        raise ValueError(f"{text!r} is no SELECT")
    check(str(text), tree, _QUERY, tables=True)
    return tree


Query: TypeAlias = Annotated[
    exp.Query, PlainValidator(parse_query), WithJsonSchema({"type": "string"})
]
"""A field of a plugin's configuration that holds a SELECT."""


class SqlSelect(Part):
    """Make the rows with a SELECT over `rows` and the inputs."""

    effect: ClassVar = Effect.REGRAINS

    query: Query = Field(
        description="A SELECT in DuckDB's dialect; `rows` are the rows so far.",
        examples=["select country, max(unit_price) as dearest from rows group by country"],
    )

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Query:
        """See `Transform.apply`."""
        query = self.query.copy()
        known = {ROWS: relation, **inputs}
        own = {cte.alias for cte in query.find_all(exp.CTE)}
        for table in list(query.find_all(exp.Table)):
            if table.name in own:
                continue
            if table.name not in known:
                raise ValueError(f"there is no input {table.name!r}: {nearest(table.name, known)}")
            name = exp.to_identifier(table.alias or table.name, quoted=True)
            table.replace(exp.alias_(known[table.name].public(), name, table=True))
        return query
