"""What a transform and a check are. Both are pure: they build SQL and touch nothing.

A plugin is a pydantic model: its fields are its configuration. It is registered as an entry point
in the group `triptych.etl.transforms` or `triptych.etl.checks`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Protocol, runtime_checkable

from sqlglot import exp

from triptych.etl.domain.relation import Inputs, Relation


class Effect(StrEnum):
    """What a transform does to the number of rows: what has to be accounted for."""

    KEEPS = auto()
    """A row comes out for each that goes in."""
    FILTERS = auto()
    """Some rows are left out: they count as filtered."""
    DEDUPLICATES = auto()
    """Some rows are left out: they count as duplicates."""
    REGRAINS = auto()
    """What is a row is something else afterwards."""


class Transform(Protocol):
    """A function from relation to relation."""

    @property
    def effect(self) -> Effect:
        """What it does to the number of rows."""
        ...

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Query:
        """The query over `relation` that makes the new one: see `Relation.select`.

        Raises:
            ValueError: it cannot be made of a relation with these columns; the message says why.
        """
        ...


class Severity(StrEnum):
    """What becomes of it when a check fails."""

    QUARANTINE = auto()
    """The row goes to the quarantine, with all its faults."""
    WARN = auto()
    """It is counted and told."""
    FAIL = auto()
    """The run fails, and nothing is committed."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that a row has to keep."""

    fault: str
    """What is wrong with a row that breaks it."""
    holds: exp.Expr
    """A condition over the row's columns that is never null."""
    join: exp.Join | None = None
    """What has to be joined to the relation for the condition to be computed; no row is multiplied."""


@runtime_checkable
class RowCheck(Protocol):
    """Rules that each row has to keep.

    A transform that keeps the number of rows may have some, too, over the columns that its query
    is computed from; so may one that changes what a row is, over the rows that it is given. The rows
    that break them are set aside.
    """

    def rules(self, relation: Relation, inputs: Inputs) -> Iterator[Rule]:
        """Each rule.

        Raises:
            ValueError: they cannot be made for a relation with these columns.
        """
        ...


@dataclass(frozen=True, slots=True)
class Demand:
    """Something that a relation as a whole has to keep."""

    fault: str
    holds: exp.Query
    """A query that gives one row of one column: true when it is kept."""


@runtime_checkable
class TableCheck(Protocol):
    """Demands on a relation as a whole: when one is not kept, no single row is at fault.

    A transform may have some, too: on the rows that it is given, and on the inputs.
    """

    def demands(self, relation: Relation, inputs: Inputs) -> Iterator[Demand]:
        """Each demand.

        Raises:
            ValueError: they cannot be made for a relation with these columns.
        """
        ...
