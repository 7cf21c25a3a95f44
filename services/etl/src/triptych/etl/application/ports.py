"""What a run needs from the world: sources, engines and sinks are plugins, too."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum, auto
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import pyarrow as pa
from sqlglot import exp

from triptych.core.errors import Kind, TriptychError
from triptych.etl.domain.plugins import Effect, Rule
from triptych.etl.domain.relation import Relation
from triptych.eventlog.log import EventLogReader
from triptych.lake.change import DataFile, Progress
from triptych.lake.lake import Lake


class QueryFailed(TriptychError):
    """A step of the pipeline cannot be computed"""

    kind = Kind.INVALID
    hint = "Nothing was written. Mend the step in the pipeline's file."


class Memory(Protocol):
    """What a source keeps of how far it has come, where a number alone does not say it.

    Whatever is remembered stays until it is forgotten, under a number that grows.
    """

    def remember(self, state: object) -> int:
        """Keep this state, which JSON can hold; the position that stands for it.

        Raises:
            DatabaseAway: it cannot be kept.
        """
        ...

    def newest(self) -> int:
        """The position of what was remembered last, whether or not it was ever committed; or 0.

        Raises:
            DatabaseAway: it cannot be read.
        """
        ...

    def forget(self, until: int) -> None:
        """Nobody asks for the positions up to this one any more.

        Raises:
            DatabaseAway: it cannot be written.
        """
        ...

    def recall(self, position: int) -> object:
        """The state that a position stands for; `None` for position 0.

        Raises:
            UnknownPosition: nothing is kept for it.
            DatabaseAway: it cannot be read.
        """
        ...


@dataclass(frozen=True)
class Resources:
    """What the settings connect a pipeline to."""

    lake: Lake
    files: Path
    """The folder that files are read from and written to, and none outside of it."""
    open_events: Callable[[], EventLogReader]
    memory_of: Callable[[str], Memory]
    """The memory of one source, by its pipeline's name, and an input's: `sales`, `sales.rates`."""

    @cached_property
    def events(self) -> EventLogReader:
        """The event log, opened when it is first asked for: not every pipeline reads it.

        Raises:
            NoEventLog, WrongDatabase, DatabaseAway: it cannot be used.
            SchemaTooOld, SchemaTooNew: its tables are of another release.
        """
        return self.open_events()


class Format(StrEnum):
    """What files hold."""

    PARQUET = auto()
    LINES = auto()
    """Text: a row of one column, `line`, for each that is not empty."""
    ITEMS = auto()
    """A JSON array: a row of one column, `line`, for each item."""
    CSV = auto()
    """Text: the columns of the header, as text; one that a file has not is null."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Files that an engine reads for itself."""

    files: tuple[str, ...]
    format: Format
    schema: pa.Schema
    """Their columns; those of text are read as it is."""
    separator: str = ","
    file_column: str | None = None
    """The column that says which file a row is from, where there is to be one."""
    renamed: tuple[str, str] | None = None
    """What files' paths begin with, and what people are told instead: in rows and in errors."""
    headers: tuple[tuple[str, ...], ...] = ()
    """Of CSV: the columns that each of the files has, in their order; all of them if not told."""
    held: object = None
    """What has to live as long as the files are to be there."""


@dataclass(frozen=True, slots=True)
class Batches:
    """Rows that are brought to an engine."""

    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]


Rows: TypeAlias = Scan | Batches


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source needs in order to be read."""

    resources: Resources
    memory: Memory


class Source(Protocol):
    """Where rows come from, in an order that has positions. Its fields are its configuration."""

    @property
    def origin(self) -> str:
        """What is read, for people and for lineage: such as `lake/sales`, without any secret."""
        ...

    @property
    def whole(self) -> bool:
        """Whether it cannot tell what is new, so that everything is read each time."""
        ...

    def newest(self, reading: Reading, after: int) -> int:
        """The last position that there is; `after` itself when nothing is new since then."""
        ...

    def read(self, reading: Reading, after: int, until: int) -> Rows:
        """The raw rows with `after < position <= until`: the same ones whenever it is asked."""
        ...

    def given(self, rows: Sequence[Mapping[str, Any]]) -> Rows:
        """Raw rows, as a person writes them into a test."""
        ...

    def written(self, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """A raw row, as a person would write it into a test; none if it cannot be written so."""
        ...

    def decode(self, raw: Relation) -> exp.Select:
        """The typed columns of the raw rows: see `Relation.select`.

        Raises:
            ValueError: the raw rows have not the columns that it needs.
        """
        ...

    def rules(self, raw: Relation) -> Iterator[Rule]:
        """What a row has to keep in order to be readable, over what `decode` computes from."""
        ...


@runtime_checkable
class ArrowTransform(Protocol):
    """A function from batches of rows to batches of rows, which runs in Python."""

    @property
    def effect(self) -> Effect:
        """What it does to the number of rows."""
        ...

    def stream(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The new rows. The framework's columns, which begin with `_`, are to be passed on.

        Raises:
            ValueError: it cannot be made of these rows; the message says why.
        """
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """Parquet files that an engine wrote."""

    schema: pa.Schema
    files: tuple[DataFile, ...]


class Engine(Protocol):
    """Runs queries over relations of its own. One is opened for each run."""

    def load(self, name: str, rows: Rows, label: str) -> Relation:
        """Make a relation of these rows, and number them in the column `_row`.

        Raises:
            QueryFailed: they cannot be read; the message says what, by the label.
        """
        ...

    def attach(self, name: str, rows: Rows, label: str) -> Relation:
        """Name these rows, which are read when they are used.

        Raises:
            QueryFailed: they cannot be read; the message says what, by the label.
        """
        ...

    def view(self, name: str, query: exp.Query, label: str) -> Relation:
        """Name a query; it runs when it is used.

        Raises:
            QueryFailed: it cannot be computed; the message says what of, by the label.
        """
        ...

    def table(self, name: str, query: exp.Query, label: str) -> Relation:
        """Make a relation of what a query gives.

        Raises:
            QueryFailed: it cannot be computed; the message says what of, by the label.
        """
        ...

    def stream(self, query: exp.Query, label: str) -> Batches:
        """What a query gives, times in UTC.

        Raises:
            QueryFailed: it cannot be computed; the message says what of, by the label.
        """
        ...

    def write(self, query: exp.Query, folder: Path, partition_by: tuple[str, ...] = ()) -> Written:
        """Write what a query gives to new Parquet files in a folder, one for each partition.

        Raises:
            QueryFailed: it cannot be computed.
            LakeAway: the files cannot be written.
        """
        ...


class EngineFactory(Protocol):
    """The configuration of an engine."""

    def open(self) -> AbstractContextManager[Engine]:
        """A fresh engine."""
        ...


@dataclass(frozen=True, slots=True)
class Writing:
    """What a sink needs in order to be written."""

    resources: Resources
    engine: Engine


@dataclass(frozen=True, slots=True)
class Effects:
    """What writing rows would do to what is there."""

    given: int
    """The rows that would be written."""
    added: int
    changed: int = 0
    removed: int = 0


class Sink(Protocol):
    """Where rows go. Its fields are its configuration."""

    @property
    def target(self) -> str:
        """What is written, for people: a table's name, or a folder."""
        ...

    @property
    def replaces(self) -> bool:
        """Whether a run replaces what earlier ones wrote, so that it has to read everything."""
        ...

    def position(self, resources: Resources, writer: str) -> int:
        """How far this writer's rows have been committed."""
        ...

    def rules(self, resources: Resources, rows: Relation) -> Iterator[Rule]:
        """What a row has to keep in order to be written; a row that does not is quarantined."""
        ...

    def columns(self, resources: Resources) -> dict[str, str]:
        """The columns of what is there, and their types; none where there is nothing yet."""
        ...

    def effects(self, writing: Writing, rows: Relation) -> Effects:
        """What writing the rows would do.

        Raises:
            QueryFailed, SchemaChanged: they cannot be written as they are.
        """
        ...

    def stage(self, writing: Writing, rows: Relation, progress: Progress) -> "Staged":
        """Write the rows, without committing them.

        Raises:
            QueryFailed, SchemaChanged: they cannot be written as they are.
        """
        ...


@runtime_checkable
class ByDay(Protocol):
    """A sink whose rows of one day can take the place of those that it has of that day."""

    def day_column(self, rows: Relation) -> str | None:
        """The column that says which day a row belongs to; none if the sink keeps no days apart."""
        ...

    def stage_day(
        self, writing: Writing, rows: Relation, day: date, progress: tuple[Progress, ...]
    ) -> "Staged":
        """Write the rows of that day, all of which they are, without committing them.

        Raises:
            QueryFailed, SchemaChanged: they cannot be written as they are.
        """
        ...


class Staged(Protocol):
    """Rows that are written and not committed: nobody sees them."""

    @property
    def rows(self) -> int:
        """How many there are of those that were given."""
        ...

    def commit(self, notes: Mapping[str, str]) -> int:
        """Make them visible together with the progress, atomically; the new version."""
        ...

    def discard(self) -> None:
        """Remove them, unless they are committed."""
        ...


class RunStatus(StrEnum):
    """What became of a run."""

    RUNNING = auto()
    """It has begun. If nothing runs now, it died: the next run finishes what it began."""
    DONE = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is known of a run."""

    id: str
    pipeline: str
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None
    outputs: tuple[str, ...]
    """What it did for each output, in a sentence."""
    error: str | None


class Runs(Protocol):
    """The history of runs."""

    def begin(self, run_id: str, pipeline: str, at: datetime) -> None:
        """A run has begun.

        Raises:
            DatabaseAway: it cannot be kept.
        """
        ...

    def end(self, run_id: str, at: datetime, outputs: list[str], error: str | None) -> None:
        """A run has ended, with an error or without one.

        Raises:
            DatabaseAway: it cannot be kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class Traced:
    """What was written to an output, and what it was made of."""

    target: str
    types: Mapping[str, str]
    columns: Mapping[str, Set[tuple[str, str]]]
    """For each column, those that it was made of: the `origin` of a source, and a raw column."""
    rows: int


class Telling(Protocol):
    """Somebody who is told of runs. Nothing that goes wrong there makes a run fail."""

    def began(self, run_id: str, pipeline: str, at: datetime) -> None:
        """A run has begun."""
        ...

    def ended(
        self, run_id: str, pipeline: str, at: datetime, traced: Sequence[Traced], error: str | None
    ) -> None:
        """A run has ended, with an error or without one."""
        ...


@dataclass(frozen=True, slots=True)
class Watcher:
    """What is told of a run while it goes on."""

    step: Callable[[str, int], None] = field(default=lambda _label, _rows: None)
    """A step is done: its label, and how many rows came out of it."""
    reading: Callable[[int], None] = field(default=lambda _rows: None)
    """So many more rows have been read."""
