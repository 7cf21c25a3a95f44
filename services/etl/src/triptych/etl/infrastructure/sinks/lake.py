"""The sink `lake`: a Delta table, which gets a new version in one atomic commit a run."""

from collections.abc import Iterator
from datetime import date
from enum import StrEnum, auto
from typing import Self

from pydantic import Field, model_validator
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.application.ports import (
    Effects,
    Engine,
    Format,
    QueryFailed,
    Resources,
    Scan,
    Writing,
)
from triptych.etl.domain.columns import Fit, Policy
from triptych.etl.domain.history import SPAN, merged, versioned
from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import Relation, column
from triptych.etl.infrastructure.arrow import types
from triptych.etl.infrastructure.sinks.keys import count, number, refuse_doubles
from triptych.etl.infrastructure.sinks.staged import StagedFiles
from triptych.lake.change import (
    Append,
    Change,
    Mode,
    Progress,
    Replace,
    ReplacePartitions,
    Rewrite,
)
from triptych.lake.errors import SchemaChanged
from triptych.lake.table import Snapshot


class How(StrEnum):
    """How the rows of a run meet those of earlier ones."""

    APPEND = auto()
    """They are added."""
    REPLACE = auto()
    """They take the place of all."""
    REPLACE_PARTITIONS = auto()
    """They take the place of those in the same partitions."""
    MERGE = auto()
    """They take the place of those with the same keys; the others are added."""
    SCD2 = auto()
    """Each is a version of what its keys stand for; a table keeps all of them, and their times."""


class LakeSink(Part):
    """Write the rows to a table of the lake, in one atomic version a run."""

    table: str = Field(pattern=r"^[a-z][a-z0-9_]{0,50}$", examples=["sales"])
    mode: How = Field(default=How.APPEND, description="How rows meet those of earlier runs.")
    keys: tuple[str, ...] = Field(
        default=(), description="What `merge` and `scd2` know a row by.", examples=[["order_id"]]
    )
    at: str | None = Field(
        default=None,
        description="The column that tells from when on a row holds, for `scd2`.",
        examples=["event_time"],
    )
    partition_by: tuple[str, ...] = Field(
        default=(), description="The columns that the table is divided by.", examples=[["day"]]
    )
    policy: Policy = Field(
        default=Policy.FREEZE,
        alias="schema",
        description="What becomes of rows that have other columns than the table.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        keyed = self.mode in (How.MERGE, How.SCD2)
        if keyed and not self.keys:
            raise ValueError(f"mode '{self.mode}' needs 'keys'")
        if self.keys and not keyed:
            raise ValueError("'keys' are for the modes 'merge' and 'scd2'")
        if (self.at is not None) != (self.mode is How.SCD2):
            raise ValueError("'at' belongs to the mode 'scd2', which needs it")
        if self.mode is How.REPLACE_PARTITIONS and not self.partition_by:
            raise ValueError("mode 'replace_partitions' needs 'partition_by'")
        return self

    @property
    def target(self) -> str:
        """See `Sink.target`."""
        return self.table

    @property
    def replaces(self) -> bool:
        """See `Sink.replaces`."""
        return self.mode is How.REPLACE

    @property
    def _label(self) -> str:
        return f"sink {self.table}"

    @property
    def _identity(self) -> list[str]:
        """The columns whose values no two rows of a run share."""
        return [*self.keys, *([self.at] if self.at else [])]

    def position(self, resources: Resources, writer: str) -> int:
        """See `Sink.position`."""
        return resources.lake.table(self.table).position(writer)

    def rules(self, resources: Resources, rows: Relation) -> Iterator[Rule]:
        """See `Sink.rules`."""
        needed = self._identity
        rows.check_has([*needed, *self.partition_by])
        for name in needed:
            yield Rule(f"{name} is missing", column(name).is_(exp.null()).not_())
        snapshot = self._there(resources)
        if snapshot and self.policy is Policy.QUARANTINE and self.mode is not How.SCD2:
            yield from Fit(_public(rows), types(snapshot.schema)).rules()

    def columns(self, resources: Resources) -> dict[str, str]:
        """See `Sink.columns`."""
        snapshot = self._there(resources)
        return types(snapshot.schema) if snapshot else {}

    def effects(self, writing: Writing, rows: Relation) -> Effects:
        """See `Sink.effects`."""
        snapshot = self._there(writing.resources)
        refuse_doubles(writing.engine, rows, self._identity, self._label)
        query, _ = self._query(writing.engine, rows, snapshot)
        given = count(writing.engine, rows, self._label)
        if snapshot is None:
            return Effects(given, given)
        match self.mode:
            case How.APPEND:
                return Effects(given, given)
            case How.REPLACE:
                return Effects(given, given, removed=snapshot.rows)
            case How.REPLACE_PARTITIONS:
                return Effects(given, given, removed=self._replaced(writing.engine, rows, snapshot))
            case How.MERGE | How.SCD2:
                new = writing.engine.view(f"{rows.name}_new", query, self._label)
                return self._differences(writing.engine, rows, snapshot, new, given)

    def _replaced(self, engine: Engine, rows: Relation, snapshot: Snapshot) -> int:
        old = self._old(engine, rows, snapshot)
        same = [
            exp.NullSafeEQ(this=column(name, "old"), expression=column(name, "new"))
            for name in self.partition_by
        ]
        query = (
            exp.select(exp.Count(this=exp.Star()))
            .from_(exp.alias_(old.table, "old", table=True))
            .join(exp.alias_(rows.table, "new", table=True), on=exp.and_(*same), join_type="semi")
        )
        return number(engine, query, self._label)

    def _differences(
        self, engine: Engine, rows: Relation, snapshot: Snapshot, new: Relation, given: int
    ) -> Effects:
        """Rows that are the same as before are none of them."""
        old = self._old(engine, rows, snapshot)
        shared = [name for name in new.columns if name in old.columns]

        def only_in(one: Relation, other: Relation) -> int:
            mine = exp.select(*(column(name) for name in shared)).from_(one.table)
            theirs = exp.select(*(column(name) for name in shared)).from_(other.table)
            differing = exp.except_(mine, theirs, distinct=False).subquery("differing")
            return number(
                engine, exp.select(exp.Count(this=exp.Star())).from_(differing), self._label
            )

        came, went = only_in(new, old), only_in(old, new)
        return Effects(given, came - min(came, went), changed=min(came, went), removed=0)

    def stage(self, writing: Writing, rows: Relation, progress: Progress) -> StagedFiles:
        """See `Sink.stage`."""
        table = writing.resources.lake.table(self.table)
        snapshot = self._there(writing.resources)
        refuse_doubles(writing.engine, rows, self._identity, self._label)
        query, mode = self._query(writing.engine, rows, snapshot)
        made = writing.engine.view(f"{rows.name}_written", query, self._label)
        written = writing.engine.write(made.all(), table.new_folder(), self.partition_by)
        files = tuple(file for file in written.files if file.rows)
        for file in written.files:
            if not file.rows:
                file.path.unlink()
        if self.mode is How.REPLACE_PARTITIONS:
            mode = ReplacePartitions(frozenset(file.partition for file in files))
        evolve = self.policy is Policy.EVOLVE
        change = Change(files, written.schema, evolve, mode, self.partition_by)
        number_of_rows = count(writing.engine, rows, self._label)
        return StagedFiles(table, change, (progress,), number_of_rows)

    def day_column(self, rows: Relation) -> str | None:
        """See `ByDay.day_column`."""
        days = [name for name in self.partition_by if rows.types.get(name) == "date"]
        rewritable = self.mode in (How.APPEND, How.REPLACE_PARTITIONS)
        return days[0] if rewritable and len(days) == 1 else None

    def stage_day(
        self, writing: Writing, rows: Relation, day: date, progress: tuple[Progress, ...]
    ) -> StagedFiles:
        """See `ByDay.stage_day`."""
        table = writing.resources.lake.table(self.table)
        snapshot = table.snapshot()
        query, _ = self._query(writing.engine, rows, snapshot)
        made = writing.engine.view(f"{rows.name}_written", query, self._label)
        written = writing.engine.write(made.all(), table.new_folder(), self.partition_by)
        value = (self.day_column(rows), day.isoformat())
        there = {file.partition for file in snapshot.stored if value in file.partition}
        mode = ReplacePartitions(frozenset(there | {file.partition for file in written.files}))
        evolve = self.policy is Policy.EVOLVE
        change = Change(written.files, written.schema, evolve, mode, self.partition_by)
        return StagedFiles(table, change, progress, sum(file.rows for file in written.files))

    def _there(self, resources: Resources) -> Snapshot | None:
        table = resources.lake.table(self.table)
        return table.snapshot() if table.exists() else None

    def _query(
        self, engine: Engine, rows: Relation, snapshot: Snapshot | None
    ) -> tuple[exp.Query, Mode]:
        """What is written, and what goes for it."""
        if self.mode is How.SCD2:
            return self._versioned(engine, rows, snapshot)
        if snapshot is None or self.mode is How.REPLACE:
            return _plain(rows), Replace() if self.mode is How.REPLACE else Append()
        fit = Fit(_public(rows), types(snapshot.schema))
        self._check_fit(fit)
        extra = fit.new if self.policy is Policy.EVOLVE else []
        fitted = fit.select(rows, extra)
        if self.mode is not How.MERGE:
            return fitted, Append()
        new = engine.view(f"{rows.name}_fitted", fitted, self._label)
        old = self._old(engine, rows, snapshot)
        widened = Fit(old.types, new.types).select(old)
        old = engine.view(f"{rows.name}_widened", widened, self._label)
        return merged(old, new, self.keys), Rewrite(snapshot.version, snapshot.files)

    def _versioned(
        self, engine: Engine, rows: Relation, snapshot: Snapshot | None
    ) -> tuple[exp.Query, Mode]:
        assert self.at is not None  # noqa: S101  # `_complete` saw to it
        if taken := set(SPAN) & set(rows.columns):
            raise QueryFailed(f"sink {self.table}: scd2 makes the columns {sorted(taken)} itself")
        if snapshot is None:
            return versioned(None, rows, self.keys, self.at), Append()
        old = self._old(engine, rows, snapshot)
        mode = Rewrite(snapshot.version, snapshot.files)
        return versioned(old, rows, self.keys, self.at), mode

    def _old(self, engine: Engine, rows: Relation, snapshot: Snapshot) -> Relation:
        scan = Scan(snapshot.files, Format.PARQUET, snapshot.schema)
        return engine.attach(f"{rows.name}_there", scan, self._label)

    def _check_fit(self, fit: Fit) -> None:
        wrong = set(fit.differing) if self.policy is not Policy.QUARANTINE else set()
        if self.policy is Policy.FREEZE:
            wrong |= {*fit.new, *fit.missing}
        if wrong:
            raise SchemaChanged(f"{self.table!r}: {', '.join(sorted(wrong))}")


def _public(rows: Relation) -> dict[str, str]:
    return {name: rows.types[name] for name in rows.columns}


def _plain(rows: Relation) -> exp.Select:
    return exp.select(*(column(name) for name in rows.columns)).from_(rows.table)
