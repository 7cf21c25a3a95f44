"""How a pipeline becomes queries: each over the relation that the one before it makes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from triptych.etl.domain.expressions import column
from triptych.etl.domain.plugins import Check, Drop, Transform

INPUT = "input"
POSITION = "_position"
ORIGINAL = "_original"
REASONS = "_reasons"
"""The framework's own columns: a row's place in the source, the row as it was read, its faults."""


@dataclass(frozen=True, slots=True)
class Step:
    """A query, and the relation that it makes."""

    relation: str
    query: exp.Select
    label: str
    """What a person knows it as."""
    drops: Drop | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in their order, then what is written, and what is quarantined."""

    steps: tuple[Step, ...]
    decoded: str
    """The relation whose faulty rows go to the quarantine before the transforms."""
    checked: str
    """The relation whose faulty rows go to the quarantine after them, and whose others go on."""

    @property
    def output(self) -> exp.Select:
        """The rows for the sink."""
        internal = [column(name) for name in (POSITION, ORIGINAL, REASONS)]
        star = exp.Star(except_=internal)
        return exp.select(star).from_(table(self.checked)).where(_faultless())

    @property
    def quarantine(self) -> exp.Query:
        """The rows for the quarantine: position, original and reasons."""
        faulty = [
            exp.select(
                exp.alias_(column(POSITION), "position"),
                exp.alias_(column(REASONS), "reasons"),
                exp.alias_(column(ORIGINAL), "original"),
            )
            .from_(table(relation))
            .where(_faultless().not_())
            for relation in (self.decoded, self.checked)
        ]
        return exp.union(*faulty, distinct=False)


def compile_pipeline(
    decode: exp.Select,
    decode_rules: Iterable[tuple[str, exp.Expr]],
    transforms: Sequence[tuple[str, Transform]],
    checks: Sequence[Check],
) -> Plan:
    """The plan of a pipeline: decode, set the unreadable aside, transform, check."""
    steps = [
        Step("decoded", decode, "source"),
        Step("decoded_checked", _judge("decoded", decode_rules), "source"),
        Step("readable", _faultless_rows("decoded_checked"), "source"),
    ]
    for index, (name, transform) in enumerate(transforms):
        query = transform.apply(table(steps[-1].relation))
        steps.append(
            Step(f"step_{index + 1}", query, f"transforms[{index}] {name}", transform.drops)
        )
    rules = [rule for check in checks for rule in check.rules()]
    steps.append(Step("checked", _judge(steps[-1].relation, rules), "checks"))
    return Plan(tuple(steps), decoded="decoded_checked", checked="checked")


def table(relation: str) -> exp.Table:
    """A reference to a relation, quoted."""
    return exp.table_(relation, quoted=True)


def _judge(relation: str, rules: Iterable[tuple[str, exp.Expr]]) -> exp.Select:
    """The relation with the reasons for which each row is faulty; empty text for none."""
    faults = [exp.case().when(holds.not_(), exp.Literal.string(why)) for why, holds in rules]
    separator = exp.Literal.string("; ")
    empty = exp.Literal.string("")
    # concat_ws passes over nulls, in DuckDB as in Spark.
    reasons = (
        exp.ConcatWs(expressions=[separator, *faults], safe=True, coalesce=True)
        if faults
        else empty
    )
    return exp.select(exp.Star(), exp.alias_(reasons, REASONS)).from_(table(relation))


def _faultless_rows(relation: str) -> exp.Select:
    star = exp.Star(except_=[column(REASONS)])
    return exp.select(star).from_(table(relation)).where(_faultless())


def _faultless() -> exp.EQ:
    return column(REASONS).eq(exp.Literal.string(""))
