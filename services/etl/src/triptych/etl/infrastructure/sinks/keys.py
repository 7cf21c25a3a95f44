"""Keys: what sinks know a row by."""

from collections.abc import Sequence

import pyarrow as pa
from sqlglot import exp

from triptych.etl.application.ports import Engine, QueryFailed
from triptych.etl.domain.relation import Relation, column


def refuse_doubles(engine: Engine, rows: Relation, keys: Sequence[str], label: str) -> None:
    """Of two rows with one key nobody could say which is to stay.

    Raises:
        QueryFailed: there are such.
    """
    if not keys:
        return
    several = (
        exp.select(*(column(key) for key in keys))
        .from_(rows.table)
        .group_by(*(column(key) for key in keys))
        .having(exp.Count(this=exp.Star()) > 1)
    )
    query = exp.select(exp.Count(this=exp.Star())).from_(several.subquery("several"))
    if doubles := number(engine, query, label):
        raise QueryFailed(
            f"{label}: {doubles:,} times several rows have the same {', '.join(keys)}:"
            " deduplicate them before"
        )


def count(engine: Engine, rows: Relation, label: str) -> int:
    """How many rows there are."""
    return number(engine, exp.select(exp.Count(this=exp.Star())).from_(rows.table), label)


def number(engine: Engine, query: exp.Query, label: str) -> int:
    """The one number that a query gives."""
    found = engine.stream(query, label)
    return int(pa.Table.from_batches(found.batches, found.schema).column(0)[0].as_py())
