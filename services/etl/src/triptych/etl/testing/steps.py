"""Run transforms and checks over rows that are given, on any engine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias, cast

import orjson
import pyarrow as pa
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.application.execution import RAW, Execution, Warned
from triptych.etl.application.pipeline import Branch, Configured, Pipeline
from triptych.etl.application.ports import ArrowTransform, Batches, Engine, Reading, Resources
from triptych.etl.domain.faults import quarantined
from triptych.etl.domain.pipeline import MAIN, PipelineFile
from triptych.etl.domain.plugins import RowCheck, Rule, Severity, TableCheck, Transform
from triptych.etl.domain.reconciliation import Reconciliation
from triptych.etl.domain.relation import Relation

Rows: TypeAlias = list[dict[str, Any]]
_NOWHERE: Final = Path("given.yaml")


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row that was set aside."""

    reasons: str
    original: Any
    """The row as it was read, as JSON tells it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What steps made of rows."""

    rows: Rows
    types: Mapping[str, str]
    tally: Reconciliation
    quarantined: list[Quarantined]
    warnings: tuple[Warned, ...]


class Given(Part):
    """A source of rows that are given."""

    whole: ClassVar = False

    @property
    def origin(self) -> str:
        """See `Source.origin`."""
        return "given"

    def newest(self, reading: Reading, after: int) -> int:
        """See `Source.newest`."""
        return after + 1

    def read(self, reading: Reading, after: int, until: int) -> Batches:
        """See `Source.read`. The rows are handed over elsewhere."""
        raise NotImplementedError

    def given(self, rows: Sequence[Mapping[str, Any]]) -> Batches:
        """See `Source.given`."""
        return _batches(pa.Table.from_pylist([dict(row) for row in rows]))

    def written(self, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """See `Source.written`."""
        return raw

    def decode(self, raw: Relation) -> exp.Select:
        """See `Source.decode`."""
        return raw.all()

    def rules(self, raw: Relation) -> Iterator[Rule]:
        """See `Source.rules`."""
        yield from ()


def run_steps(
    engine: Engine,
    rows: pa.Table,
    transforms: Sequence[Transform | ArrowTransform] = (),
    checks: Sequence[RowCheck | TableCheck] = (),
    *,
    severity: Severity | None = None,
    inputs: Mapping[str, pa.Table] | None = None,
) -> Outcome:
    """What transforms and then checks make of rows.

    Raises:
        QueryFailed, ChecksFailed, NotReconciled: as in a run.
    """
    pipeline = _pipeline(transforms, checks, severity)
    attached = {
        name: engine.attach(f"input_{name}", _batches(table), name)
        for name, table in (inputs or {}).items()
    }
    execution = Execution(engine, pipeline, cast("Resources", None), attached)
    made = execution.run(_batches(rows))[MAIN]
    result = _fetch(engine, exp.select("*").from_(made.rows.public()))
    tally = replace(made.tally, written=result.num_rows)
    tally.check()
    faulty = [step for steps in execution.faulty.values() for step in steps]
    aside = (
        _fetch(engine, quarantined(execution.steps[RAW], faulty, "test")).to_pylist()
        if faulty
        else []
    )
    return Outcome(
        result.to_pylist(),
        {name: made.rows.types[name] for name in made.rows.columns},
        tally,
        [Quarantined(row["reasons"], orjson.loads(row["original"])) for row in aside],
        made.warnings,
    )


def _pipeline(
    transforms: Sequence[Transform | ArrowTransform],
    checks: Sequence[RowCheck | TableCheck],
    severity: Severity | None,
) -> Pipeline:
    file = PipelineFile.model_validate({"version": 1, "name": "given", "source": {"given": {}}})
    source = Configured("source", str(_NOWHERE), Given())
    steps = tuple(
        Configured(f"transforms[{number}]", str(_NOWHERE), transform)
        for number, transform in enumerate(transforms)
    )
    asked = tuple(
        Configured(f"checks[{number}]", str(_NOWHERE), check, severity)
        for number, check in enumerate(checks)
    )
    return Pipeline(_NOWHERE, file, source, {}, (Branch(MAIN, "", steps, asked, None),))


def _batches(table: pa.Table) -> Batches:
    return Batches(table.schema, table.to_batches())


def _fetch(engine: Engine, query: exp.Query) -> pa.Table:
    found = engine.stream(query, "fetch")
    return pa.Table.from_batches(found.batches, found.schema)
