"""Test a pipeline with the cases that stand in its file, or beside it: given rows, expected rows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
from sqlglot import exp

from triptych.core import documents
from triptych.core.documents import Part
from triptych.etl.application.execution import RAW, Execution
from triptych.etl.application.pipeline import Pipeline
from triptych.etl.application.ports import Engine, EngineFactory, Resources
from triptych.etl.domain.faults import quarantined
from triptych.etl.domain.pipeline import Case
from triptych.etl.domain.relation import Inputs, Relation


class _Beside(Part):
    tests: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case."""

    name: str
    differences: tuple[str, ...]
    """What was not as expected; none when all of it was."""


def cases_of(pipeline: Pipeline) -> tuple[Case, ...]:
    """The cases in a pipeline's file, and in `NAME.tests.yaml` beside it.

    Raises:
        UnreadableFile, WrongDocument: the file beside it is wrong.
    """
    beside = pipeline.path.with_suffix(".tests.yaml")
    more = documents.load(beside).to(_Beside).tests if beside.exists() else ()
    return (*pipeline.file.tests, *more)


@dataclass(frozen=True, slots=True)
class Test:
    """Run cases on an engine. No source is read, and nothing is written."""

    resources: Resources
    engines: EngineFactory

    def __call__(self, pipeline: Pipeline, case: Case) -> Result:
        """What is not as the case expects.

        Raises:
            QueryFailed, ChecksFailed: the pipeline cannot be computed over the given rows.
        """
        with self.engines.open() as engine:
            found = compute(engine, self.resources, pipeline, case)
        known = {name: rows for name, rows in found.rows.items() if name in case.expect}
        differences = [
            *(f"there is no output {name!r}" for name in case.expect if name not in known),
            *(
                f"{name}: {difference}"
                for name, rows in known.items()
                for difference in _compare(case.expect[name], rows)
            ),
        ]
        if case.quarantined is not None:
            reasons = [(reason,) for reason in found.reasons]
            wanted = [(reason,) for reason in case.quarantined]
            differences += (f"quarantined: {d}" for d in _unequal(wanted, reasons))
        return Result(case.name, tuple(differences))


@dataclass(frozen=True, slots=True)
class Computed:
    """What a pipeline makes of the rows of a case."""

    rows: Mapping[str, list[dict[str, Any]]]
    """By output, `main` among them."""
    reasons: list[str]
    """Of the rows that are set aside."""


def compute(engine: Engine, resources: Resources, pipeline: Pipeline, case: Case) -> Computed:
    """Run a pipeline over the rows of a case.

    Raises:
        QueryFailed, ChecksFailed: it cannot be computed.
    """
    inputs = _inputs(engine, pipeline, case)
    execution = Execution(engine, pipeline, resources, inputs)
    made = execution.run(pipeline.source.plugin.given(case.given))
    rows = {b.name: _rows(engine, made[b.name].rows) for b in pipeline.branches}
    return Computed(rows, _reasons(execution))


def _inputs(engine: Engine, pipeline: Pipeline, case: Case) -> Inputs:
    inputs: dict[str, Relation] = {}
    for name, configured in pipeline.inputs.items():
        source = configured.plugin
        raw = engine.load(f"raw_{name}", source.given(case.inputs.get(name, ())), configured.label)
        inputs[name] = engine.view(f"input_{name}", source.decode(raw), configured.label)
    return inputs


def _rows(engine: Engine, relation: Relation) -> list[dict[str, Any]]:
    found = engine.stream(exp.select("*").from_(relation.public()), "test")
    rows: list[dict[str, Any]] = pa.Table.from_batches(found.batches, found.schema).to_pylist()
    return rows


def _reasons(execution: Execution) -> list[str]:
    steps = [step for found in execution.faulty.values() for step in found]
    if not steps:
        return []
    query = quarantined(execution.steps[RAW], steps, "test")
    found = execution.engine.stream(query, "test")
    table = pa.Table.from_batches(found.batches, found.schema)
    return [str(reason) for reason in table.column("reasons").to_pylist()]


def _compare(
    wanted: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """What differs, in the columns that are expected, whatever the order of the rows."""
    columns = list(dict.fromkeys(name for row in wanted for name in row))
    if rows and (missing := [name for name in columns if name not in rows[0]]):
        yield f"there is no column {', '.join(missing)}"
        return
    columns = columns or list(rows[0] if rows else ())

    def shown(row: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(f"{name}={_plain(row.get(name))}" for name in columns)

    yield from _unequal([shown(row) for row in wanted], [shown(row) for row in rows])


def _unequal(wanted: Sequence[tuple[str, ...]], found: Sequence[tuple[str, ...]]) -> Iterator[str]:
    missing, extra = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    yield from (f"expected and not there: {', '.join(row)}" for row in missing.elements())
    yield from (f"there and not expected: {', '.join(row)}" for row in extra.elements())


def _plain(value: Any) -> str:
    """A value as text that is the same however a person writes it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat()
        case date():
            return value.isoformat()
        case int() | float() | Decimal():
            return _number(str(value))
        case str():
            return _time(value) or _number(value)
        case _:
            return str(value)


def _number(text: str) -> str:
    try:
        return format(Decimal(text).normalize(), "f") if text.strip() == text else text
    except InvalidOperation:
        return text


def _time(text: str) -> str | None:
    if len(text) <= len("2030-01-01"):
        return None
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return None
