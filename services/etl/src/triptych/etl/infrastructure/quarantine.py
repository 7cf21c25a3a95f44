"""Look into a pipeline's quarantine."""

import pyarrow as pa
from sqlglot import exp

from triptych.etl.application.pipeline import Pipeline
from triptych.etl.application.ports import EngineFactory, Format, Scan
from triptych.etl.domain.relation import column
from triptych.lake.lake import Lake

_COLUMNS = ("position", "step", "reasons", "original")


def faults(lake: Lake, engines: EngineFactory, pipeline: Pipeline) -> list[tuple[int, str, str]]:
    """How many rows were set aside in which step for which reasons, the most frequent first."""
    count = exp.Count(this=exp.Star())
    keys = [column("step"), column("reasons")]
    query = exp.select(exp.alias_(count, "rows"), *keys).group_by(*(key.copy() for key in keys))
    found = _ask(lake, engines, pipeline, query.order_by(exp.Ordered(this=count.copy(), desc=True)))
    return [(row["rows"], row["step"], row["reasons"]) for row in found.to_pylist()]


def rows_at_fault(lake: Lake, engines: EngineFactory, pipeline: Pipeline, limit: int) -> pa.Table:
    """The rows that were set aside."""
    query = exp.select(*(column(name) for name in _COLUMNS)).order_by(column("position"))
    return _ask(lake, engines, pipeline, query.limit(limit))


def _ask(lake: Lake, engines: EngineFactory, pipeline: Pipeline, query: exp.Select) -> pa.Table:
    table = lake.table(pipeline.quarantine)
    if not table.exists():
        return pa.table({name: [] for name in _COLUMNS})
    snapshot = table.snapshot()
    with engines.open() as engine:
        scan = Scan(snapshot.files, Format.PARQUET, snapshot.schema)
        stored = engine.attach("quarantine", scan, "the quarantine")
        found = engine.stream(query.from_(stored.table), "the quarantine")
        return pa.Table.from_batches(found.batches, found.schema)
