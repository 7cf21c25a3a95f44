"""What a transform and a check are. Both are pure: they build SQL and touch nothing.

A plugin is a pydantic model: its fields are its configuration. It is registered as an entry point
in the group `triptych.etl.transforms` or `triptych.etl.checks`.
"""

from collections.abc import Iterator
from enum import StrEnum, auto
from typing import Protocol

from sqlglot import exp


class Drop(StrEnum):
    """Why a transform leaves rows out: what they are counted as."""

    FILTERED = auto()
    DUPLICATES = auto()


class Transform(Protocol):
    """A function from relation to relation."""

    @property
    def drops(self) -> Drop | None:
        """What the rows are that it leaves out; `None` when it keeps every row."""
        ...

    def apply(self, relation: exp.Table) -> exp.Select:
        """The query over `relation` that makes the new one. It passes unknown columns on."""
        ...


class Check(Protocol):
    """Rules that a row has to keep; a row that breaks one goes to the quarantine."""

    def rules(self) -> Iterator[tuple[str, exp.Expr]]:
        """Each rule: the reason for breaking it, and a condition that is never null."""
        ...
