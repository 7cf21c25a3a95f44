"""Which expressions a pipeline may hold."""

from contextlib import suppress

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp
from sqlglot.errors import SqlglotError

from triptych.etl.domain.expressions import DIALECT, parse
from triptych.etl.domain.relation import column


@pytest.mark.parametrize(
    "text",
    [
        "quantity * unit_price",
        "(a + b) / -c % 2",
        "round(abs(price), 2)",
        "quantity > 0 and not cancelled or country is null",
        "country in ('France', 'Spain')",
        "price between 1 and 2.5",
        "name like 'a%' or name ilike '%b'",
        "case when quantity < 0 then 'back' else 'sold' end",
        "coalesce(customer, nullif(guest, ''))",
        "starts_with(upper(trim(invoice)), 'C')",
        "substring(lower(name), 1, 3) || length(name)",
        "cast(quantity as decimal(18, 4))",
        "try_cast(text as integer)",
        "quantity::bigint",
        "date_trunc('month', event_time)",
        "extract(year from event_time)",
        "date '2030-01-01'",
        '"Quantity"',
        "true",
        "null",
    ],
)
def test_what_computes_over_the_row_is_allowed(text: str) -> None:
    assert isinstance(parse(text), exp.Expr)


@pytest.mark.parametrize(
    "text",
    [
        "read_csv('/etc/passwd')",
        "read_text('/etc/passwd')",
        "read_parquet('x')",
        "glob('*')",
        "getenv('HOME')",
        "current_setting('home_directory')",
        "current_user",
        "now()",
        "random()",
        "nextval('s')",
        "pg_sleep(1)",
    ],
)
def test_what_reaches_beyond_the_row_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not allowed in an expression"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "(select 1)",
        "select 1",
        "exists (select 1)",
        "a in (select 1)",
        "sum(a)",
        "count(*)",
        "sum(a) over ()",
        "*",
        "columns('.*')",
        "a as b",
        "[1, 2]",
        "{'a': 1}",
        "a[1]",
        "x -> x + 1",
        "$1",
        "drop table sales",
        "attach 'other.db'",
    ],
)
def test_what_is_no_value_of_one_row_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not allowed|is no expression"):
        parse(text)


@pytest.mark.parametrize("text", ["a; b", "a; drop table sales", ";", "", "  "])
def test_there_has_to_be_exactly_one_expression(text: str) -> None:
    with pytest.raises(ValueError, match="is not one expression"):
        parse(text)


@pytest.mark.parametrize("text", ["sales.revenue", "main.sales.revenue", "a.*"])
def test_a_column_of_a_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no column of the row"):
        parse(text)


@pytest.mark.parametrize("text", ["_position", '"_original"', "1 + _reasons", "_Position"])
def test_the_frameworks_own_columns_are_hidden(text: str) -> None:
    with pytest.raises(ValueError, match="is no column of the row"):
        parse(text)


@pytest.mark.parametrize("text", ["quantity *", "((", "'open", "a,b"])
def test_what_cannot_be_read_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="is no expression") as refusal:
        parse(text)

    assert repr(text) in str(refusal.value)


@pytest.mark.parametrize("text", ["(" * 5000, "not " * 5000 + "a", "date ( ) order"])
def test_what_the_parser_stumbles_over_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expression"):
        parse(text)


@pytest.mark.parametrize("value", [1, None, True, ["a"], {"a": 1}])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="write it as text"):
        parse(value)


def test_a_refusal_names_what_is_not_allowed() -> None:
    with pytest.raises(ValueError, match="'getenv' is not allowed in an expression"):
        parse("1 + getenv('HOME')")


def test_an_expression_that_is_parsed_already_stays_as_it_is() -> None:
    expression = column("quantity")

    assert parse(expression) is expression


def test_names_are_quoted_so_that_they_are_never_keywords() -> None:
    assert parse("order_ + total").sql(DIALECT) == '"order_" + "total"'


SQL = """
    a b _c "d" 'e' 1 2.5 + - * / % ( ) , ; . = <> < and or not is null in between like case when
    then else end cast( as :: int coalesce( lower( substring( extract( year from select count(
    read_csv( -- /* */ [ ] { } $1 exists interval if( try_cast( || -> over order by union where
"""


@given(
    text=st.text(max_size=30)
    | st.lists(st.sampled_from(SQL.split()), max_size=10).map(" ".join)
    | st.tuples(st.just("a"), st.text(max_size=20)).map(" ".join)
)
def test_any_text_is_harmless_in_a_query_or_refused(text: str) -> None:
    try:
        pasted = f"SELECT {parse(text).sql(DIALECT)}"
    except ValueError:
        return

    with suppress(SqlglotError):  # an engine would refuse it, too
        tree = sqlglot.parse_one(pasted, dialect=DIALECT)
        assert isinstance(tree, exp.Select)
        assert len(tree.expressions) == 1
        assert not list(tree.find_all(exp.From, exp.Table, exp.Subquery, exp.Anonymous))
