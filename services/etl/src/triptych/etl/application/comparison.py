"""What differs between two versions of a table."""

from dataclasses import dataclass

import pyarrow as pa
from sqlglot import exp

from triptych.etl.application.ports import Engine, EngineFactory, Format, Scan
from triptych.etl.domain.relation import Relation, column
from triptych.lake.table import Snapshot


@dataclass(frozen=True, slots=True)
class Difference:
    """The rows that one version has and another has not, in the columns that both have."""

    added: int
    removed: int
    some_added: pa.Table
    some_removed: pa.Table
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]


def compare(engines: EngineFactory, before: Snapshot, after: Snapshot, rows: int) -> Difference:
    """What differs, with at most so many rows as examples."""
    with engines.open() as engine:
        old, new = (_attach(engine, name, s) for name, s in (("old", before), ("new", after)))
        shared = [name for name in new.columns if name in old.types]
        added, some_added = _only_in(engine, new, old, shared, rows)
        removed, some_removed = _only_in(engine, old, new, shared, rows)
    return Difference(
        added,
        removed,
        some_added,
        some_removed,
        tuple(name for name in new.columns if name not in old.types),
        tuple(name for name in old.columns if name not in new.types),
    )


def _attach(engine: Engine, name: str, snapshot: Snapshot) -> Relation:
    scan = Scan(snapshot.files, Format.PARQUET, snapshot.schema)
    return engine.attach(name, scan, f"version {snapshot.version}")


def _only_in(
    engine: Engine, one: Relation, other: Relation, columns: list[str], rows: int
) -> tuple[int, pa.Table]:
    mine, theirs = (
        exp.select(*(column(name) for name in columns)).from_(relation.table)
        for relation in (one, other)
    )
    found = engine.table(
        f"only_{one.name}", exp.except_(mine, theirs, distinct=False), "comparison"
    )
    counted = _fetch(engine, exp.select(exp.Count(this=exp.Star())).from_(found.table))
    some = _fetch(engine, found.all().limit(rows))
    return int(counted.column(0)[0].as_py()), some


def _fetch(engine: Engine, query: exp.Query) -> pa.Table:
    found = engine.stream(query, "comparison")
    return pa.Table.from_batches(found.batches, found.schema)
