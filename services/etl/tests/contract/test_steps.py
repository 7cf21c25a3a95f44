"""What each transform and each check does to rows, on every engine."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pydantic import BaseModel

from triptych.etl.application.execution import ChecksFailed, Warned
from triptych.etl.application.ports import Engine, QueryFailed
from triptych.etl.domain.checks import rows as row_checks
from triptych.etl.domain.checks import tables as table_checks
from triptych.etl.domain.plugins import Severity
from triptych.etl.domain.transforms import columns, relations, rows
from triptych.etl.domain.transforms.sql import SqlSelect
from triptych.etl.testing.steps import Outcome, run_steps

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def transformed(
    engine: Engine,
    model: type[BaseModel],
    configuration: dict[str, Any],
    given: dict[str, Any],
    **inputs: dict[str, Any],
) -> Outcome:
    """What a transform makes of rows."""
    step: Any = model.model_validate(configuration, context={"environment": {"KEY": "k" * 16}})
    tables = {name: pa.table(columns) for name, columns in inputs.items()}
    return run_steps(engine, pa.table(given), [step], inputs=tables)


def checked(
    engine: Engine,
    model: type[BaseModel],
    configuration: dict[str, Any],
    given: dict[str, Any],
    severity: Severity | None = None,
    **inputs: dict[str, Any],
) -> Outcome:
    """What a check makes of rows."""
    check: Any = model.model_validate(configuration)
    tables = {name: pa.table(columns) for name, columns in inputs.items()}
    return run_steps(engine, pa.table(given), [], [check], severity=severity, inputs=tables)


def faults(outcome: Outcome) -> list[str]:
    """Why each row was set aside, in the order of reading."""
    aside = sorted(outcome.quarantined, key=lambda row: str(row.original))
    return [row.reasons for row in aside]


def sorted_rows(outcome: Outcome) -> list[dict[str, Any]]:
    return sorted(outcome.rows, key=str)


def test_select_keeps_columns_in_its_order(engine: Engine) -> None:
    found = transformed(
        engine, columns.Select, {"columns": ["c", "a"]}, {"a": [1], "b": [2], "c": [3]}
    )

    assert [list(row.items()) for row in found.rows] == [[("c", 3), ("a", 1)]]


def test_rename_keeps_places(engine: Engine) -> None:
    found = transformed(
        engine, columns.Rename, {"columns": {"a": "x", "b": "a"}}, {"a": [1], "b": [2], "c": [3]}
    )

    assert [list(row.items()) for row in found.rows] == [[("x", 1), ("a", 2), ("c", 3)]]


def test_derive_adds_columns_and_keeps_the_others(engine: Engine) -> None:
    found = transformed(
        engine,
        columns.Derive,
        {"columns": {"double": "n * 2", "big": "n > 1"}},
        {"n": [1, 2], "other": ["a", "b"]},
    )

    assert sorted_rows(found) == [
        {"n": 1, "other": "a", "double": 2, "big": False},
        {"n": 2, "other": "b", "double": 4, "big": True},
    ]


def test_a_derived_column_may_be_named_like_a_keyword(engine: Engine) -> None:
    found = transformed(engine, columns.Derive, {"columns": {"select": "n"}}, {"n": [1]})

    assert found.rows == [{"n": 1, "select": 1}]


def test_derive_does_not_replace_a_column(engine: Engine) -> None:
    with pytest.raises(QueryFailed, match="there are two columns 'n'"):
        transformed(engine, columns.Derive, {"columns": {"n": "n + 1"}}, {"n": [1]})


def test_cast_sets_aside_what_does_not_fit(engine: Engine) -> None:
    found = transformed(
        engine,
        columns.Cast,
        {"columns": {"n": "integer", "price": "decimal(6, 2)"}},
        {"n": ["1", "2.5", "x", None, "3"], "price": ["1.10", "1", "1", None, "1.234"]},
    )

    assert sorted_rows(found) == [
        {"n": 1, "price": Decimal("1.10")},
        {"n": None, "price": None},
    ]
    assert faults(found) == ["n is no integer", "price is no decimal(6, 2)", "n is no integer"]
    assert found.types == {"n": "integer", "price": "decimal(6, 2)"}


def test_a_strict_cast_ends_the_run(engine: Engine) -> None:
    strict = {"columns": {"n": "integer"}, "on_error": "fail"}

    assert transformed(engine, columns.Cast, strict, {"n": ["1", None]}).tally.written == 2
    for wrong in ("x", "2.5"):
        with pytest.raises(QueryFailed, match="n is no integer"):
            transformed(engine, columns.Cast, strict, {"n": ["1", wrong]})


def test_flatten_reads_members_of_objects(engine: Engine) -> None:
    found = transformed(
        engine,
        columns.Flatten,
        {
            "column": "data",
            "columns": {"city": {"type": "text", "at": "/address/city"}, "n": "bigint"},
        },
        {"data": ['{"address": {"city": "York"}, "n": 7}', '{"n": "many"}', "{}", None]},
    )

    assert [(row["city"], row["n"]) for row in found.rows] == [
        ("York", 7),
        (None, None),
        (None, None),
    ]
    assert faults(found) == ["n is no bigint"]


def test_masks_hide_values_and_keep_missing_ones_missing(engine: Engine) -> None:
    masked = {"columns": {"email": "hash", "name": "redact"}, "key": "${KEY}"}
    found = transformed(
        engine,
        columns.Mask,
        masked,
        {"email": ["a@x", "a@x", "b@x", None], "name": ["a", None, "b", "c"]},
    )

    emails = [row["email"] for row in found.rows]
    assert emails.count(None) == 1
    assert len({email for email in emails if email}) == 2
    assert all(len(email) == 64 for email in emails if email)
    assert sorted(str(row["name"]) for row in found.rows) == ["***", "***", "***", "None"]


def test_a_filter_keeps_the_rows_for_which_the_condition_is_true(engine: Engine) -> None:
    found = transformed(engine, rows.Filter, {"where": "n = 1 or n = 3"}, {"n": [1, 2, None, 3]})

    assert sorted_rows(found) == [{"n": 1}, {"n": 3}]
    assert found.tally.filtered == 2


@pytest.mark.parametrize(("keep", "expected"), [("first", ["a", "c"]), ("last", ["b", "c"])])
def test_of_rows_with_one_key_one_stays(engine: Engine, keep: str, expected: list[str]) -> None:
    found = transformed(
        engine,
        rows.Deduplicate,
        {"keys": ["id"], "order": ["at"], "keep": keep},
        {"id": [1, 1, None], "at": [1, 2, 3], "name": ["a", "b", "c"]},
    )

    assert sorted(row["name"] for row in found.rows) == expected
    assert found.tally.duplicates == 1


def test_without_an_order_the_first_that_was_read_stays(engine: Engine) -> None:
    found = transformed(
        engine, rows.Deduplicate, {"keys": ["id"]}, {"id": [1] * 50, "n": list(range(50))}
    )

    assert found.rows == [{"id": 1, "n": 0}]


def test_explode_makes_a_row_of_each_item(engine: Engine) -> None:
    found = transformed(
        engine,
        rows.Explode,
        {"column": "tags", "into": "tag"},
        {"id": [1, 2, 3], "tags": ['["a", "b"]', "[]", None]},
    )

    assert sorted_rows(found) == [{"id": 1, "tag": "a"}, {"id": 1, "tag": "b"}]
    assert (found.tally.read, found.tally.regrained, found.tally.written) == (3, -1, 2)


def test_what_is_no_array_cannot_be_exploded_and_is_set_aside(engine: Engine) -> None:
    found = transformed(
        engine,
        rows.Explode,
        {"column": "tags", "into": "tag"},
        {"id": [1, 2, 3, 4], "tags": ['["a"]', "", "{}", "[1"]},
    )

    assert found.rows == [{"id": 1, "tag": "a"}]
    assert faults(found) == ["tags is no JSON array"] * 3
    assert (found.tally.quarantined, found.tally.regrained) == (3, 0)


PRODUCTS = {"id": ["p1", "p2"], "name": ["Pen", "Ink"]}
JOIN = {"input": "products", "on": {"product": "id"}, "columns": {"name": "product_name"}}


def test_a_left_join_keeps_every_row(engine: Engine) -> None:
    given = {"product": ["p1", "p9", None]}
    found = transformed(engine, relations.Join, JOIN, given, products=PRODUCTS)

    assert sorted_rows(found) == [
        {"product": "p1", "product_name": "Pen"},
        {"product": "p9", "product_name": None},
        {"product": None, "product_name": None},
    ]


def test_an_inner_join_leaves_out_what_nothing_matches(engine: Engine) -> None:
    given = {"product": ["p1", "p9", None]}
    found = transformed(engine, relations.Join, {**JOIN, "kind": "inner"}, given, products=PRODUCTS)

    assert found.rows == [{"product": "p1", "product_name": "Pen"}]
    assert found.tally.filtered == 2


def test_a_join_never_multiplies_rows_unless_it_may(engine: Engine) -> None:
    given, twice = {"product": ["p1"]}, {"id": ["p1", "p1"], "name": ["Pen", "Pencil"]}

    with pytest.raises(ChecksFailed, match="products has several rows with the same id"):
        transformed(engine, relations.Join, JOIN, given, products=twice)
    found = transformed(engine, relations.Join, {**JOIN, "many": True}, given, products=twice)

    assert (found.tally.regrained, found.tally.written) == (1, 2)


def test_a_join_with_an_input_that_is_not_there_is_an_error(engine: Engine) -> None:
    with pytest.raises(QueryFailed, match="no input 'products': did you mean 'product'"):
        transformed(engine, relations.Join, JOIN, {"product": ["p1"]}, product=PRODUCTS)


def test_rows_are_summed_up_by_columns_and_time(engine: Engine) -> None:
    found = transformed(
        engine,
        relations.Aggregate,
        {
            "by": ["country"],
            "time": {"column": "at", "grain": "day", "into": "day"},
            "measures": {"n": "count(*)", "total": "sum(price)", "buyers": "count(distinct who)"},
        },
        {
            "country": ["F", "F", "S"],
            "at": pa.array([NOON, NOON, NOON], pa.timestamp("us", tz="UTC")),
            "price": pa.array([Decimal("1.50"), Decimal("2.25"), None], pa.decimal128(10, 2)),
            "who": ["a", "a", "b"],
        },
    )

    day = datetime(2030, 1, 1, tzinfo=UTC)
    assert sorted_rows(found) == [
        {"day": day, "country": "F", "n": 2, "total": Decimal("3.75"), "buyers": 1},
        {"day": day, "country": "S", "n": 1, "total": None, "buyers": 1},
    ]
    assert found.tally.regrained == -1


def test_a_select_sees_the_rows_and_the_inputs(engine: Engine) -> None:
    query = """
        with named as (select r.*, p.name from rows r join products as p on r.product = p.id)
        select name, count(*) as n from named group by name
    """
    given = {"product": ["p1", "p1", "p2"]}
    found = transformed(engine, SqlSelect, {"query": query}, given, products=PRODUCTS)

    assert sorted_rows(found) == [{"name": "Ink", "n": 1}, {"name": "Pen", "n": 2}]


@pytest.mark.parametrize(
    ("check", "configuration", "given", "expected"),
    [
        (row_checks.NotNull, {"columns": ["n"]}, [1, None], ["n is missing"]),
        (row_checks.Range, {"column": "n", "min": 2}, [1, 2, None], ["n is less than 2"]),
        (row_checks.Range, {"column": "n", "max": "2.5"}, [3, 2, None], ["n is more than 2.5"]),
        (
            row_checks.Accepted,
            {"column": "n", "values": ["a", "it's"]},
            ["a", "it's", "c", None],
            ["n is none of a, it's"],
        ),
        (
            row_checks.Matches,
            {"column": "n", "pattern": "C?[0-9]+"},
            ["C1", "1", "C", "x1", None],
            ["n does not match C?[0-9]+"] * 2,
        ),
        (
            row_checks.Unique,
            {"columns": ["n"]},
            [1, 1, 2, None, None],
            ["n: several rows have the same"] * 2,
        ),
        (row_checks.Expression, {"holds": "n > 1"}, [1, 2, None], ['not "n" > 1']),
        (row_checks.Expression, {"holds": "n > 1", "fault": "too small"}, [1], ["too small"]),
    ],
)
def test_a_row_that_breaks_a_check_is_set_aside(
    engine: Engine,
    check: type[BaseModel],
    configuration: dict[str, Any],
    given: list[Any],
    expected: list[str],
) -> None:
    found = checked(engine, check, configuration, {"n": given})

    assert faults(found) == expected
    assert found.tally.quarantined == len(expected)
    assert found.tally.written == len(given) - len(expected)


def test_a_reference_leads_to_a_row_of_an_input(engine: Engine) -> None:
    found = checked(
        engine,
        row_checks.References,
        {"input": "products", "on": {"product": "id"}},
        {"product": ["p1", "p9", None]},
        products={"id": ["p1", "p1", None]},
    )

    assert faults(found) == ["product: products has no such row"]
    assert sorted(str(row["product"]) for row in found.rows) == ["None", "p1"]


def test_a_check_that_warns_sets_nothing_aside(engine: Engine) -> None:
    found = checked(engine, row_checks.NotNull, {"columns": ["n"]}, {"n": [1, None]}, Severity.WARN)

    assert found.tally.written == 2
    assert found.warnings == (Warned("checks[0]", "n is missing", 1),)


def test_a_check_that_fails_ends_the_run(engine: Engine) -> None:
    with pytest.raises(ChecksFailed, match=r"checks\[0\]: n is missing \(1 rows\)"):
        checked(engine, row_checks.NotNull, {"columns": ["n"]}, {"n": [None]}, Severity.FAIL)


YOUNG = {"column": "at", "max_age": "P1D"}


@pytest.mark.parametrize(
    ("check", "configuration", "given", "fault"),
    [
        (table_checks.RowCount, {"min": 2}, {"n": [1]}, "fewer than 2 rows"),
        (table_checks.RowCount, {"max": 0}, {"n": [1]}, "more than 0 rows"),
        (
            table_checks.Freshness,
            YOUNG,
            {"at": [datetime(2020, 1, 1, tzinfo=UTC)]},
            "is older than",
        ),
        (table_checks.Schema, {"columns": {"n": "text"}}, {"n": [1]}, "n is no text, but bigint"),
        (
            table_checks.Schema,
            {"columns": {"n": "bigint"}},
            {"n": [1], "m": [1]},
            "other columns: m",
        ),
    ],
)
def test_a_demand_on_the_whole_table_ends_the_run_or_warns(
    engine: Engine,
    check: type[BaseModel],
    configuration: dict[str, Any],
    given: dict[str, Any],
    fault: str,
) -> None:
    with pytest.raises(ChecksFailed, match=fault):
        checked(engine, check, configuration, given)

    [warned] = checked(engine, check, configuration, given, Severity.WARN).warnings
    assert fault in warned.fault


@pytest.mark.parametrize(
    ("check", "configuration", "given"),
    [
        (table_checks.RowCount, {"min": 1, "max": 1}, {"n": [1]}),
        (table_checks.Freshness, YOUNG, {"at": pa.array([], pa.timestamp("us", tz="UTC"))}),
        (table_checks.Schema, {"columns": {"d": "date"}}, {"d": [date(2030, 1, 1)]}),
    ],
)
def test_a_demand_that_is_met_is_not_mentioned(
    engine: Engine, check: type[BaseModel], configuration: dict[str, Any], given: dict[str, Any]
) -> None:
    assert checked(engine, check, configuration, given).warnings == ()


@pytest.mark.parametrize(
    ("model", "configuration"),
    [
        (columns.Select, {"columns": ["nn"]}),
        (columns.Rename, {"columns": {"nn": "m"}}),
        (columns.Cast, {"columns": {"nn": "text"}}),
        (columns.Mask, {"columns": {"nn": "redact"}}),
        (rows.Deduplicate, {"keys": ["nn"]}),
        (relations.Aggregate, {"by": ["nn"], "measures": {"c": "count(*)"}}),
    ],
)
def test_a_column_that_is_not_there_is_an_error_with_the_nearest(
    engine: Engine, model: type[BaseModel], configuration: dict[str, Any]
) -> None:
    with pytest.raises(QueryFailed, match=r"transforms\[0\]: there is no column 'nn': .*'n'"):
        transformed(engine, model, configuration, {"n": [1]})
