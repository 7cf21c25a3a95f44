"""How rows fit a table that is there: which of its columns they have, and of which types."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto

from sqlglot import exp

from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import Relation, column, named
from triptych.etl.domain.types import data_type, decimal, known


class Policy(StrEnum):
    """What becomes of rows that have other columns than the table."""

    FREEZE = auto()
    """The run fails: columns and types are those of the table."""
    EVOLVE = auto()
    """New columns are added to the table; those that a row has not are null."""
    QUARANTINE = auto()
    """A row that has a value that the table has no place for is set aside."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Rows beside the table that they are written to."""

    rows: Mapping[str, str]
    table: Mapping[str, str]

    @property
    def new(self) -> list[str]:
        """The columns that the table has not."""
        return [name for name in self.rows if name not in self.table]

    @property
    def missing(self) -> list[str]:
        """The columns that the rows have not."""
        return [name for name in self.table if name not in self.rows]

    @property
    def differing(self) -> list[str]:
        """The columns whose values do not all fit into the table's type."""
        shared = [name for name in self.table if name in self.rows]
        return [name for name in shared if not _fits(self.rows[name], self.table[name])]

    def rules(self) -> Iterator[Rule]:
        """What a row has to keep so that nothing of it is lost in the table."""
        for name in self.new:
            yield Rule(f"the table has no column {name}", column(name).is_(exp.null()))
        for name in self.differing:
            kind = self.table[name]
            kept = _cast(name, kind, exp.TryCast).is_(exp.null()).not_()
            fits = exp.Paren(this=column(name).is_(exp.null()).or_(kept))
            yield Rule(f"{name} is no {kind}, as in the table", fits)

    def select(self, rows: Relation, extra: Sequence[str] = ()) -> exp.Select:
        """The rows with the table's columns and types, and perhaps some of their own."""
        columns = [self._column(name, kind) for name, kind in self.table.items()]
        return exp.select(*columns, *(column(name) for name in extra)).from_(rows.table)

    def _column(self, name: str, kind: str) -> exp.Expr:
        if name not in self.rows:
            null = exp.Cast(this=exp.null(), to=data_type(kind)) if known(kind) else exp.null()
            return named(null, name)
        return column(name) if self.rows[name] == kind else named(_cast(name, kind, exp.Cast), name)


def _cast(name: str, kind: str, how: type[exp.Cast]) -> exp.Expr:
    return how(this=column(name), to=data_type(kind)) if known(kind) else column(name)


def _fits(rows: str, table: str) -> bool:
    """Whether every value of the one type is a value of the other."""
    if rows == table or (rows, table) == ("integer", "bigint"):
        return True
    mine, its = decimal(rows), decimal(table)
    if mine is None or its is None:
        return False
    return mine[0] - mine[1] <= its[0] - its[1] and mine[1] <= its[1]
