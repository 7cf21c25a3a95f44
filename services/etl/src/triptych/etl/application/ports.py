"""What a run needs from the world: sources, engines and sinks are plugins, too."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from sqlglot import exp

from triptych.core.errors import Kind, TriptychError
from triptych.eventlog.log import EventLogReader
from triptych.lake.change import Progress
from triptych.lake.lake import Lake


class QueryFailed(TriptychError):
    """A step of the pipeline cannot be computed"""

    kind = Kind.INVALID
    hint = "Nothing was written. Mend the step in the pipeline's file."


@dataclass(frozen=True, slots=True)
class Resources:
    """What the settings connect a pipeline to."""

    events: EventLogReader
    lake: Lake


class Source(Protocol):
    """Where rows come from, in an order that has positions. Its fields are its configuration."""

    def newest(self, resources: Resources) -> int:
        """The last position that there is."""
        ...

    def read(self, resources: Resources, after: int, until: int) -> Iterator[pa.RecordBatch]:
        """The raw rows with `after < position <= until`: the same ones whenever it is asked."""
        ...

    def decode(self, relation: exp.Table) -> exp.Select:
        """The typed columns of the raw rows, besides the framework's own."""
        ...

    def rules(self) -> Iterator[tuple[str, exp.Expr]]:
        """What a decoded row has to keep in order to be readable; as for `Check.rules`."""
        ...


class Engine(Protocol):
    """Runs queries over relations of its own. One is opened for each run."""

    def load(self, relation: str, batches: Iterable[pa.RecordBatch]) -> int:
        """Make a relation of these rows; how many there are."""
        ...

    def count(self, relation: str) -> int:
        """How many rows a relation has."""
        ...

    def view(self, relation: str, query: exp.Query, label: str) -> None:
        """Name a query; it runs when it is used.

        Raises:
            QueryFailed: it cannot be computed; the message says what of, by the label.
        """
        ...

    def table(self, relation: str, query: exp.Query, label: str) -> int:
        """Make a relation of what a query gives; how many rows there are.

        Raises:
            QueryFailed: it cannot be computed; the message says what of, by the label.
        """
        ...

    def schema(self, query: exp.Query) -> pa.Schema:
        """The columns that a query gives, with times in UTC."""
        ...

    def write(self, query: exp.Query, path: Path) -> int:
        """Write what a query gives to a Parquet file; how many rows there are."""
        ...


class EngineFactory(Protocol):
    """The configuration of an engine."""

    def open(self) -> AbstractContextManager[Engine]:
        """A fresh engine."""
        ...


@dataclass(frozen=True, slots=True)
class Positions:
    """How far the outputs of a pipeline have come."""

    output: int
    quarantine: int


class Sink(Protocol):
    """Where rows go. Its fields are its configuration."""

    @property
    def table(self) -> str:
        """The table's name, for people."""
        ...

    def positions(self, resources: Resources, writer: str) -> Positions:
        """How far this writer's rows have been committed."""
        ...

    def quarantine(
        self, resources: Resources, engine: Engine, rows: exp.Query, progress: Progress
    ) -> "Staged":
        """Write the quarantined rows, without committing them."""
        ...

    def output(
        self, resources: Resources, engine: Engine, rows: exp.Query, progress: Progress
    ) -> "Staged":
        """Write the rows, without committing them."""
        ...


class Staged(Protocol):
    """Rows that are written and not committed: nobody sees them."""

    @property
    def rows(self) -> int:
        """How many there are."""
        ...

    def commit(self, notes: Mapping[str, str]) -> int:
        """Make them visible together with the progress, atomically; the new version."""
        ...

    def discard(self) -> None:
        """Remove them, unless they are committed."""
        ...
