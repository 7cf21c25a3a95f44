"""Which rows break a rule, and what is kept of them."""

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import ROW, Relation, as_json, column, named, text

REASONS: Final = "_reasons"
"""The column of what is wrong with a row; empty text for nothing."""
_BETWEEN: Final = "; "


def judged(rows: Relation, rules: Sequence[Rule], query: exp.Select | None = None) -> exp.Select:
    """The rows, or what a query makes of them, with what is wrong with each."""
    if query is None:
        query = exp.select(*(column(name, rows.name) for name in rows.types))
        query = query.from_(rows.table)
    for rule in rules:
        if rule.join is not None:
            query = query.join(rule.join.copy())
    faults = [exp.case().when(rule.holds.copy().not_(), text(rule.fault)) for rule in rules]
    # concat_ws passes over nulls, in DuckDB as in Spark.
    reasons = exp.ConcatWs(expressions=[text(_BETWEEN), *faults], safe=True, coalesce=True)
    return query.select(named(reasons, REASONS))


def faultless(told: Relation) -> exp.Select:
    """Of rows that were judged, those with which nothing is wrong."""
    kept = [column(name) for name in told.types if name != REASONS]
    return exp.select(*kept).from_(told.table).where(column(REASONS).eq(text("")))


def faults(told: Relation) -> exp.Select:
    """Of rows that were judged, what is wrong with how many."""
    return (
        exp.select(column(REASONS), exp.Count(this=exp.Star()))
        .from_(told.table)
        .where(column(REASONS).neq(text("")))
        .group_by(column(REASONS))
    )


def quarantined(
    raw: Relation, judged_steps: Sequence[tuple[str, Relation]], run_id: str
) -> exp.Query:
    """What is written of the rows at fault: where in the source they are, the step, the reasons,
    and each row as JSON: as it was read, or, where it was made of several, as it was found."""
    parts = [_kept(raw, step, told, run_id) for step, told in judged_steps]
    return exp.union(*parts, distinct=False) if len(parts) > 1 else parts[0]


def _kept(raw: Relation, step: str, told: Relation, run_id: str) -> exp.Select:
    at_fault = column(REASONS, "told").neq(text(""))
    from_raw = ROW in told.types
    position: exp.Expr = exp.Cast(this=exp.null(), to=exp.DataType.build("bigint"))
    if from_raw and "position" in raw.columns:
        position = column("position", "raw")
    original = as_json(raw, "raw") if from_raw else as_json(told, "told")
    query = exp.select(
        named(position, "position"),
        named(text(step), "step"),
        named(column(REASONS, "told"), "reasons"),
        named(original, "original"),
        named(text(run_id), "run_id"),
    ).from_(exp.alias_(told.table, "told", table=True))
    if from_raw:
        same = column(ROW, "told").eq(column(ROW, "raw"))
        query = query.join(exp.alias_(raw.table, "raw", table=True), on=same)
    return query.where(at_fault)
