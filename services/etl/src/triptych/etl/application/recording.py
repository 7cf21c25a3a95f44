"""Propose a test of a pipeline: real rows, and what it makes of them now."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from sqlglot import exp

from triptych.etl.application.cases import compute
from triptych.etl.application.inputs import reading_of
from triptych.etl.application.pipeline import Configured, Pipeline
from triptych.etl.application.ports import Engine, EngineFactory, Resources, Source
from triptych.etl.domain.pipeline import Case
from triptych.etl.domain.relation import ROW


@dataclass(frozen=True, slots=True)
class Record:
    """Propose cases from what sources hold."""

    resources: Resources
    engines: EngineFactory

    def __call__(self, pipeline: Pipeline, rows: int) -> str:
        """A case, as YAML: the first rows of the source and of each input, and what comes of them.

        Raises:
            QueryFailed, ChecksFailed: the pipeline cannot be computed over them.
        """
        with self.engines.open() as engine:
            given = self._first(engine, pipeline, "given", pipeline.source, rows)
            inputs = {
                name: tuple(self._first(engine, pipeline, name, configured, rows))
                for name, configured in pipeline.inputs.items()
            }
            case = Case(name=f"the first {len(given)} rows", given=tuple(given), inputs=inputs)
            found = compute(engine, self.resources, pipeline, case)
        sinks = {name: found.rows[name] for name in pipeline.sinks}
        return _yaml(case, sinks, found.reasons)

    def _first(
        self,
        engine: Engine,
        pipeline: Pipeline,
        name: str,
        configured: Configured[Source],
        rows: int,
    ) -> list[dict[str, Any]]:
        of = name if name in pipeline.inputs else ""
        source, reading = configured.plugin, reading_of(self.resources, pipeline, of)
        there = source.read(reading, 0, source.newest(reading, 0))
        raw = engine.load(f"recorded_{name}", there, configured.label)
        query = raw.all().order_by(exp.column(ROW, quoted=True)).limit(rows)
        found = engine.stream(query, configured.label)
        taken = pa.Table.from_batches(found.batches, found.schema).drop_columns([ROW])
        written = (source.written(row) for row in taken.to_pylist())
        return [_plain(row) for row in written if row is not None]


def _yaml(case: Case, sinks: Mapping[str, Sequence[Any]], reasons: Sequence[str]) -> str:
    """The case. A row is a line of JSON, which YAML is a superset of."""
    lines = ["tests:", f"  - name: {case.name}", "    given:", *_rows(case.given, 6)]
    if case.inputs:
        lines.append("    inputs:")
        for name, given in case.inputs.items():
            lines += [f"      {name}:", *_rows(given, 8)]
    lines.append("    expect:")
    for name, rows in sinks.items():
        lines += [f"      {name}:", *_rows([_plain(row) for row in rows], 8)]
    lines.append(f"    quarantined: {_json(list(reasons))}")
    return "\n".join(lines) + "\n"


def _rows(rows: Sequence[Mapping[str, Any]], indent: int) -> list[str]:
    return [f"{' ' * indent}- {_json(row)}" for row in rows] or [f"{' ' * indent}[]"]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    match value:
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case _:
            return value
