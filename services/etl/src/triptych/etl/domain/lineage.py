"""Which columns a column was made of."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from triptych.etl.domain.expressions import DIALECT
from triptych.etl.domain.relation import INTERNAL, Relation

Column: TypeAlias = tuple[str, str]
"""A relation's name, and a column's."""
if TYPE_CHECKING:
    from sqlglot.lineage import Node

_Nodes: TypeAlias = "Mapping[str, Node]"  # as there are where no single column is asked for


@dataclass(frozen=True, slots=True)
class Lineage:
    """The queries that relations were made by."""

    queries: Mapping[str, exp.Query]
    read: Sequence[Relation]
    """Those that no query made: they were read."""
    opaque: Mapping[str, Relation] = field(default_factory=dict)
    """What relations were made of that no query made: any column may come from any."""

    def of(self, relation: Relation) -> dict[str, Set[Column]]:
        """For each column of a relation, those that it was made of, in relations as they were read.

        Raises:
            ValueError: it cannot be traced.
        """
        query = exp.select(*(exp.column(n, quoted=True) for n in relation.columns))
        from sqlglot.lineage import lineage  # noqa: PLC0415  # slow to import, and rarely asked for

        schema = {one.name: dict(one.types) for one in self.read}
        try:
            found = lineage(
                None,
                query.from_(relation.table),
                schema,
                sources=self.queries,
                dialect=DIALECT,
            )
        except SqlglotError as error:
            raise ValueError(f"{relation.name} cannot be traced: {error}") from None
        return {name: self._leaves(node) for name, node in cast("_Nodes", found).items()}

    def _leaves(self, node: "Node") -> Set[Column]:
        leaves: set[Column] = set()
        for one in node.walk():
            if one.downstream or not isinstance(one.expression, exp.Table):
                continue
            table, name = one.expression.name, sqlglot.parse_one(one.name, dialect=DIALECT).name
            if (before := self.opaque.get(table)) is not None:
                leaves.update(*self.of(before).values())
            elif not name.startswith(INTERNAL):
                leaves.add((table, name))
        return leaves
