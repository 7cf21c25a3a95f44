"""Compute what a pipeline makes of rows, on an engine: nothing is written by it.

Every step is a relation. One that leaves rows out is computed at once, so that its rows can be
counted; any other is a view, which is computed as part of the next. Only the first that leaves out
rows of columnar files is a view, too: to read again the columns that are needed costs less than to
keep all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, TypeAlias

import pyarrow as pa
from sqlglot import exp

from triptych.core.errors import Kind, TriptychError
from triptych.etl.application.pipeline import Branch, Configured, Pipeline
from triptych.etl.application.ports import (
    ArrowTransform,
    Batches,
    Engine,
    Format,
    QueryFailed,
    Resources,
    Rows,
    Scan,
    Watcher,
)
from triptych.etl.domain.faults import faultless, faults, judged
from triptych.etl.domain.lineage import Lineage
from triptych.etl.domain.pipeline import MAIN
from triptych.etl.domain.plugins import (
    Effect,
    RowCheck,
    Rule,
    Severity,
    TableCheck,
    Transform,
)
from triptych.etl.domain.reconciliation import Reconciliation
from triptych.etl.domain.relation import Inputs, Relation, keeps_rows

RAW: Final = "input"
"""The relation of the rows as they were read."""


Step: TypeAlias = Configured[Transform | ArrowTransform]


class ChecksFailed(TriptychError):
    """A check whose severity is `fail` was not kept"""

    kind = Kind.FAILED
    hint = "Nothing was written. Mend the rows at their source, or the check."


@dataclass(frozen=True, slots=True)
class Warned:
    """A check that was not kept, and only warns."""

    check: str
    fault: str
    rows: int | None
    """How many rows are at fault; none where it is all of them together."""


@dataclass(frozen=True, slots=True)
class Made:
    """What came out of a branch."""

    rows: Relation
    tally: Reconciliation
    """What became of the rows on their way here."""
    warnings: tuple[Warned, ...] = ()


@dataclass
class Execution:
    """A pipeline that runs on an engine. For one run."""

    engine: Engine
    pipeline: Pipeline
    resources: Resources
    inputs: Inputs
    watcher: Watcher = field(default_factory=Watcher)
    steps: dict[str, Relation] = field(default_factory=dict)
    """The relation that each step made, by the step's name."""
    faulty: dict[str, list[tuple[str, Relation]]] = field(default_factory=dict)
    """By branch, the steps in which rows were judged, and the relations that tell their faults."""
    queries: list[tuple[str, str, exp.Query]] = field(default_factory=list)
    """What has been asked: the step, the relation that it made, and its query."""
    opaque: list[tuple[Relation, Relation]] = field(default_factory=list)
    """The relations that functions made, and those that they made them of."""
    _counts: dict[str, int] = field(default_factory=dict)
    """How many rows relations have, by their names."""
    _columnar: set[str] = field(default_factory=set)
    """The relations that nothing was left out of, whose rows are still in columnar files."""
    _kept: set[str] = field(default_factory=set)
    """The relations whose rows are computed and kept, and those that only project them."""
    _branch_name: str = MAIN
    _named: int = 0

    def run(self, rows: Rows) -> dict[str, Made]:
        """Compute every branch over these rows; what came out of each, by its name.

        Raises:
            QueryFailed: a step cannot be computed.
            ChecksFailed: a check is not kept that has to be.
        """
        source = self.pipeline.source
        raw = self.engine.load(RAW, rows, source.label)
        self.steps[RAW] = raw
        read = self._count(raw, source)
        if isinstance(rows, Scan) and rows.format is Format.PARQUET:
            self._columnar.add(raw.name)
        self.watcher.step(source.name, read)
        with saying(source.label):
            query, rules = source.plugin.decode(raw), list(source.plugin.rules(raw))
        before = Made(raw, Reconciliation(read))
        if rules:
            made = {"": self._judge(source, judged(raw, rules, query), before)}
        else:
            made = {"": Made(self._view(source, query), before.tally)}
            if keeps_rows(query, raw):
                self._same_rows(raw, made[""].rows)
        for branch in self.pipeline.branches:
            made[branch.name] = self._branch(branch, made[branch.origin])
        return made

    @property
    def lineage(self) -> Lineage:
        """What the relations so far were made of."""
        queries = {name: query for _, name, query in self.queries}
        read = [self.steps[RAW], *self.inputs.values(), *(made for made, _ in self.opaque)]
        return Lineage(queries, read, {made.name: of for made, of in self.opaque})

    def _branch(self, branch: Branch, before: Made) -> Made:
        made, self._branch_name = before, branch.name
        for transform in branch.transforms:
            made = self._transform(transform, made)
            self.steps[transform.name] = made.rows
        made = self._checks(branch, made)
        self.steps[branch.name] = made.rows
        return made

    def _transform(self, step: Step, before: Made) -> Made:
        transform = step.plugin
        if isinstance(transform, TableCheck):
            self._demand(step, transform, before, Severity.FAIL)
        if isinstance(transform, ArrowTransform):
            rows = self._through_python(step, transform, before.rows)
            return Made(rows, self._account(step, before, rows), before.warnings)
        with saying(step.label):
            query = transform.apply(before.rows, self.inputs)
            rules = self._rules_of(transform, before.rows)
        if rules and transform.effect is Effect.REGRAINS:  # of rows that it makes, none is to blame
            before = self._judge(step, judged(before.rows, rules), before)
            query, rules = transform.apply(before.rows, self.inputs), []
        if rules and isinstance(query, exp.Select):
            return self._judge(step, judged(before.rows, rules, query), before)
        lazy = transform.effect is Effect.FILTERS and before.rows.name in self._columnar
        keep = self._view if transform.effect is Effect.KEEPS or lazy else self._table
        rows = keep(step, query)
        if keeps_rows(query, before.rows):
            self._same_rows(before.rows, rows)
        return Made(rows, self._account(step, before, rows), before.warnings)

    def _rules_of(self, plugin: object, rows: Relation) -> list[Rule]:
        return list(plugin.rules(rows, self.inputs)) if isinstance(plugin, RowCheck) else []

    def _account(self, step: Step, before: Made, rows: Relation) -> Reconciliation:
        tally = before.tally
        if step.plugin.effect is Effect.KEEPS:  # trusted here, and found out in the end
            return tally
        out = self._count(rows, step)
        missing = self._count(before.rows, step) - out
        self.watcher.step(step.name, out)
        match step.plugin.effect:
            case Effect.FILTERS:
                return tally.plus(filtered=missing)
            case Effect.DEDUPLICATES:
                return tally.plus(duplicates=missing)
            case _:
                return tally.plus(regrained=-missing)

    def _through_python(self, step: Step, transform: ArrowTransform, rows: Relation) -> Relation:
        given = self.engine.stream(exp.select("*").from_(rows.table), step.label)
        with saying(step.label):
            stream = iter(transform.stream(given.batches))
            first = next(stream, None)
            schema = given.schema if first is None else first.schema
            batches = stream if first is None else chain([first], stream)
            made = self.engine.attach(self._name(), Batches(schema, batches), step.label)
            self.opaque.append((made, rows))
            return made

    def _checks(self, branch: Branch, before: Made) -> Made:
        """Check the rows: each that is set aside is so with everything that is wrong with it."""
        strict: list[Rule] = []
        warned: list[Warned] = []
        for check in branch.checks:
            if not isinstance(check.plugin, RowCheck):
                continue
            with saying(check.label):
                rules = self._rules_of(check.plugin, before.rows)
            if check.severity in (None, Severity.QUARANTINE):
                strict += rules
            else:
                warned += self._count_faults(check, before.rows, rules)
        if branch.sink is not None:
            with saying(branch.sink.label):
                strict += branch.sink.plugin.rules(self.resources, before.rows)
        if strict:
            step = Configured(_of(branch, "checks"), str(self.pipeline.path), None)
            before = self._judge(step, judged(before.rows, strict), before)
        for check in branch.checks:
            if isinstance(check.plugin, TableCheck):
                severity = check.severity or Severity.FAIL
                warned += self._demand(check, check.plugin, before, severity)
        return Made(before.rows, before.tally, (*before.warnings, *warned))

    def _judge(self, step: Configured[object], query: exp.Select, before: Made) -> Made:
        # To judge rows that are kept already costs less than to keep them once more, row by row.
        by_row = not query.args.get("joins") and query.find(exp.Window) is None
        again = by_row and before.rows.name in self._kept
        told = (self._view if again else self._table)(step, query)
        kept = self._view(step, faultless(told))
        good = self._count(kept, step)
        if bad := self._count(told, step) - good:
            self.faulty.setdefault(self._branch_name, []).append((step.name, told))
        self.watcher.step(step.name, good)
        return Made(kept, before.tally.plus(quarantined=bad), before.warnings)

    def _count_faults(
        self, check: Configured[RowCheck | TableCheck], rows: Relation, rules: Sequence[Rule]
    ) -> Iterator[Warned]:
        found = self._fetch(faults(self._view(check, judged(rows, rules))), check)
        for reasons, count in found:
            if check.severity is Severity.FAIL:
                raise ChecksFailed(f"{check.label}: {reasons} ({count:,} rows)")
            yield Warned(check.name, str(reasons), int(count))

    def _demand(
        self, step: Configured[object], plugin: TableCheck, before: Made, severity: Severity
    ) -> list[Warned]:
        with saying(step.label):
            demands = list(plugin.demands(before.rows, self.inputs))
        broken = []
        for demand in demands:
            [[holds]] = self._fetch(demand.holds, step)
            if not holds:
                broken.append(Warned(step.name, demand.fault, None))
        if broken and severity is Severity.FAIL:
            raise ChecksFailed(f"{step.label}: {'; '.join(warned.fault for warned in broken)}")
        return broken

    def _view(self, step: Configured[object], query: exp.Query) -> Relation:
        return self._made(step, query, self.engine.view)

    def _table(self, step: Configured[object], query: exp.Query) -> Relation:
        made = self._made(step, query, self.engine.table)
        self._kept.add(made.name)
        return made

    def _made(
        self,
        step: Configured[object],
        query: exp.Query,
        make: Callable[[str, exp.Query, str], Relation],
    ) -> Relation:
        made = make(self._name(), query, step.label)
        self.queries.append((step.name, made.name, query))
        return made

    def _count(self, rows: Relation, step: Configured[object]) -> int:
        if (known := self._counts.get(rows.name)) is not None:
            return known
        query = exp.select(exp.Count(this=exp.Star())).from_(rows.table)
        [[count]] = self._fetch(query, step)
        return self._counts.setdefault(rows.name, int(count))

    def _same_rows(self, before: Relation, after: Relation) -> None:
        """What is known of the rows of one relation is known of those of another."""
        if before.name in self._counts:
            self._counts[after.name] = self._counts[before.name]
        for known in (self._columnar, self._kept):
            if before.name in known:
                known.add(after.name)

    def _fetch(self, query: exp.Query, step: Configured[object]) -> list[tuple[Any, ...]]:
        found = self.engine.stream(query, step.label)
        rows = pa.Table.from_batches(found.batches, found.schema)
        return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))

    def _name(self) -> str:
        self._named += 1
        return f"step_{self._named}"


def _of(branch: Branch, what: str) -> str:
    return what if branch.name == MAIN else f"outputs.{branch.name}.{what}"


@contextmanager
def saying(label: str) -> Iterator[None]:
    """What a plugin says of its columns becomes an error that says whose."""
    try:
        yield
    except ValueError as error:
        raise QueryFailed(f"{label}: {error}") from None
