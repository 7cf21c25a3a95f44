"""What a commit does to a table: the files that it adds, and those that they take the place of."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

Partition: TypeAlias = tuple[tuple[str, str | None], ...]
"""The columns that a table is divided by, and their values, as Delta writes them in its log."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file in a table's folder. It holds the columns that the table is divided by, too."""

    path: Path
    rows: int
    partition: Partition = ()


@dataclass(frozen=True, slots=True)
class Append:
    """Every row stays."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Every row goes."""


@dataclass(frozen=True, slots=True)
class ReplacePartitions:
    """The rows of these partitions go."""

    partitions: frozenset[Partition]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The rows of these files go: what is added was computed from them."""

    base: int
    """The version that was read: the commit fails when there is a newer one."""
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """The rows of these files go, whatever has been added to others since they were read."""

    files: tuple[str, ...]
    """The commit fails when one of them is not there any more."""


Mode: TypeAlias = Append | Replace | ReplacePartitions | Rewrite | Exchange
"""What becomes of the rows that are there."""


@dataclass(frozen=True, slots=True)
class Change:
    """New files for a table."""

    files: tuple[DataFile, ...]
    schema: pa.Schema
    """The columns of the rows, which are the table's."""
    evolve: bool = False
    """The table gets the columns that it has not; otherwise they are an error."""
    mode: Mode = field(default_factory=Append)
    partition_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a writer has read its source: committed together with the rows."""

    writer: str
    """A stable name: a table keeps one position for each writer."""
    before: int
    """The position that the rows start after; the commit fails when the table's is another."""
    after: int
    """The position that the rows reach."""
