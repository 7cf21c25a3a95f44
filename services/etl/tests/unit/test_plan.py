"""How a pipeline becomes queries."""

import pytest
from sqlglot import exp

from triptych.etl.domain.checks import NotNull
from triptych.etl.domain.expressions import DIALECT
from triptych.etl.domain.plan import (
    INPUT,
    ORIGINAL,
    POSITION,
    REASONS,
    Plan,
    compile_pipeline,
    table,
)
from triptych.etl.domain.plugins import Drop, Transform
from triptych.etl.domain.transforms import Derive, Filter

DERIVE = Derive.model_validate({"columns": {"double": "n * 2"}})
FILTER = Filter.model_validate({"where": "n > 0"})


@pytest.fixture
def plan() -> Plan:
    decode = exp.select("n").from_(table(INPUT))
    transforms: list[tuple[str, Transform]] = [("derive", DERIVE), ("filter", FILTER)]
    return compile_pipeline(decode, [], transforms, [NotNull(columns=("n",))])


def test_each_step_reads_what_the_one_before_it_makes(plan: Plan) -> None:
    made = [INPUT, *(step.relation for step in plan.steps)]

    read = [[found.name for found in step.query.find_all(exp.Table)] for step in plan.steps]

    assert read == [[relation] for relation in made[:-1]]


def test_no_two_steps_make_the_same_relation(plan: Plan) -> None:
    relations = [step.relation for step in plan.steps]

    assert len(set(relations)) == len(relations)


def test_a_step_is_labelled_as_a_person_wrote_it(plan: Plan) -> None:
    labels = list(dict.fromkeys(step.label for step in plan.steps))

    assert labels == ["source", "transforms[0] derive", "transforms[1] filter", "checks"]


def test_only_a_step_that_drops_rows_is_counted(plan: Plan) -> None:
    drops = {step.label: step.drops for step in plan.steps if step.drops}

    assert drops == {"transforms[1] filter": Drop.FILTERED}


def test_the_output_leaves_out_the_frameworks_own_columns(plan: Plan) -> None:
    [star] = plan.output.find_all(exp.Star)

    assert {column.name for column in star.args["except_"]} == {POSITION, ORIGINAL, REASONS}


def test_the_quarantine_tells_position_reasons_and_original_alone(plan: Plan) -> None:
    assert plan.quarantine.named_selects == ["position", "reasons", "original"]


def test_rows_are_quarantined_before_the_transforms_and_after_them(plan: Plan) -> None:
    read = {found.name for found in plan.quarantine.find_all(exp.Table)}

    assert read == {plan.decoded, plan.checked}


def test_a_plan_is_the_same_each_time_it_is_asked(plan: Plan) -> None:
    assert plan.output.sql(DIALECT) == plan.output.sql(DIALECT)
    assert plan.quarantine.sql(DIALECT) == plan.quarantine.sql(DIALECT)


def test_a_transform_that_is_used_twice_builds_the_same_query_twice() -> None:
    first = FILTER.apply(table("rows")).sql(DIALECT)

    assert FILTER.apply(table("rows")).sql(DIALECT) == first


def test_a_pipeline_needs_neither_transforms_nor_checks() -> None:
    plan = compile_pipeline(exp.select("n").from_(table(INPUT)), [], [], [])

    assert [step.label for step in plan.steps] == ["source", "source", "source", "checks"]
