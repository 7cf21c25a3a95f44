"""The conformance kit finds what is wrong with a plugin, and says so to its author."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from pydantic import BaseModel, ConfigDict, Field
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.domain.plugins import Demand, Effect, Rule
from triptych.etl.domain.relation import Inputs, Relation, column, named, text
from triptych.etl.testing.checks import RowCheckConformance, TableCheckConformance
from triptych.etl.testing.configuration import Conformance
from triptych.etl.testing.transforms import TransformConformance

NUMBERS = pa.table({"n": [1, 2]})


class Loose(BaseModel):
    """no sentence"""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    key: str = Field(default="", examples=[1])
    query: exp.Expr | None = None


class LooseKit(Conformance):
    plugin = Loose
    configuration: ClassVar = {"key": "hush"}
    secrets: ClassVar = {"KEY": "hush"}


class Doubling(Part):
    """Say that it keeps the rows, and double them."""

    effect: ClassVar = Effect.KEEPS

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Query:
        return exp.union(relation.all(), relation.all(), distinct=False)


class Wrong(Part):
    """Make a mess of names, numbers and secrets."""

    effect: ClassVar = Effect.KEEPS
    made: ClassVar[list[int]] = []

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Query:
        self.made.append(1)
        number = f"'hush' || {len(self.made)} as s"
        return exp.select(*relation.columns, number, dialect="duckdb").from_(relation.table)


class Fragile(Part):
    """Fail unless there are rows, and all have a value."""

    effect: ClassVar = Effect.KEEPS

    def apply(self, relation: Relation, inputs: Inputs) -> exp.Query:
        number = exp.Coalesce(this=exp.Max(this=column("n")), expressions=[text("none")])
        largest = exp.select(exp.cast(number, "bigint")).from_(relation.table).subquery()
        return relation.select([named(largest, "n")])


class TransformKit(TransformConformance):
    rows = NUMBERS
    columns = ("n",)
    expected: ClassVar = []
    secrets: ClassVar = {"KEY": "hush"}


class DoublingKit(TransformKit):
    plugin = Doubling


class WrongKit(TransformKit):
    plugin = Wrong


class FragileKit(TransformKit):
    plugin = Fragile


class Nothing(Part):
    """Find nothing wrong, and say null."""

    def rules(self, relation: Relation, inputs: Inputs) -> Iterator[Rule]:
        yield Rule("it is wrong", exp.null())


class NothingKit(RowCheckConformance):
    plugin = Nothing
    rows = NUMBERS
    columns = ("n",)
    faulty = (0,)


class Backwards(Part):
    """Demand of rows the contrary."""

    def demands(self, relation: Relation, inputs: Inputs) -> Iterator[Demand]:
        count = exp.Count(this=exp.Star()).eq(0)
        yield Demand("there are rows", exp.select(count).from_(relation.table))


class BackwardsKit(TableCheckConformance):
    plugin = Backwards
    rows = NUMBERS
    broken = NUMBERS.slice(0, 0)


class Demanding(Part):
    """Fail unless there are rows, and all have a value, under a name that is not quoted."""

    def demands(self, relation: Relation, inputs: Inputs) -> Iterator[Demand]:
        number = f"cast(coalesce(max({relation.columns[0]})::text, 'none') as bigint) > 0"
        yield Demand(
            "none", exp.select(exp.maybe_parse(number, dialect="duckdb")).from_(relation.table)
        )


class DemandingKit(TableCheckConformance):
    plugin = Demanding
    configuration: ClassVar = {}
    rows = NUMBERS
    columns = ("n",)
    broken = NUMBERS


BROKEN: list[tuple[type[Any], str, str]] = [
    (LooseKit, "an_unknown_field_is_refused", "extra='forbid'"),
    (LooseKit, "it_cannot_be_changed", "frozen=True"),
    (LooseKit, "its_docstring_says_what_it_does", "a sentence"),
    (LooseKit, "it_has_a_json_schema", "WithJsonSchema"),
    (LooseKit, "its_examples_are_valid", "the example 1 of 'key'"),
    (LooseKit, "no_secret_is_shown", "Secret"),
    (DoublingKit, "its_effect_is_true", "its effect is keeps"),
    (DoublingKit, "rows_become_what_is_expected", "its effect is keeps"),
    (DoublingKit, "any_rows_will_do", "its effect is keeps"),
    (DoublingKit, "the_number_of_each_row_is_kept", "changes _row"),
    (DoublingKit, "a_column_that_is_missing_is_named", "its effect is keeps"),
    (WrongKit, "it_builds_the_same_query_each_time", "another query"),
    (WrongKit, "the_number_of_each_row_is_kept", "drops _row"),
    (WrongKit, "a_column_that_is_missing_is_named", "check_has"),
    (WrongKit, "names_of_columns_are_quoted", 'a "quoted" name'),
    (WrongKit, "no_secret_is_shown_in_its_query", "shows a secret"),
    (FragileKit, "nulls_will_do", "nulls will not do"),
    (FragileKit, "a_table_without_rows_will_do", "without rows"),
    (NothingKit, "just_the_rows_at_fault_are_set_aside", "it lets pass"),
    (NothingKit, "a_warning_sets_nothing_aside_and_counts", "warns of 0"),
    (NothingKit, "a_row_at_fault_fails_a_run_that_asks_for_it", "pass"),
    (NothingKit, "a_condition_is_never_null", "its condition is null"),
    (NothingKit, "a_condition_is_never_null_for_any_rows", "its condition is null"),
    (NothingKit, "a_column_that_is_missing_is_named", "check_has"),
    (BackwardsKit, "what_keeps_it_passes", "do not pass"),
    (BackwardsKit, "what_does_not_keep_it_fails_the_run", "pass"),
    (BackwardsKit, "a_warning_is_told_and_fails_nothing", "tells nothing"),
    (DemandingKit, "a_table_without_rows_will_do", "without rows"),
    (DemandingKit, "a_column_that_is_missing_is_named", "check_has"),
    (DemandingKit, "nulls_will_do", "nulls will not do"),
    (DemandingKit, "names_of_columns_are_quoted", "quoted"),
]


@pytest.mark.parametrize(("kit", "claim", "says"), BROKEN, ids=lambda v: getattr(v, "__name__", v))
def test_a_broken_plugin_is_told_what_is_wrong(kit: type[Any], claim: str, says: str) -> None:
    with pytest.raises(pytest.fail.Exception) as failure:
        getattr(kit(), f"test_{claim}")()

    assert says in str(failure.value)


@pytest.mark.parametrize(
    "kind", [Conformance, TransformConformance, RowCheckConformance, TableCheckConformance]
)
def test_every_claim_has_a_plugin_that_breaks_it(kind: type[Any]) -> None:
    broken = {
        getattr(kit, f"test_{claim}").__name__ for kit, claim, _ in BROKEN if issubclass(kit, kind)
    }
    inherited = broken | {name for name in dir(Conformance) if kind is not Conformance}

    claims = {name for name in dir(kind) if name.startswith("test_")}

    assert claims <= inherited | (CHECKED_ONCE if kind is RowCheckConformance else set())


CHECKED_ONCE = {
    "test_a_table_without_rows_will_do",
    "test_nulls_will_do",
    "test_names_of_columns_are_quoted",
}
"""What both kinds of checks inherit: `DemandingKit` breaks it."""
