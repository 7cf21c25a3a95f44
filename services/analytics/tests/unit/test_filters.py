"""Any text is a filter, or is refused with its place and what was expected there."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.analytics.domain.columns import ColumnType, UnknownColumn, WrongValue
from triptych.analytics.domain.filters import (
    MAX_DEPTH,
    All,
    Among,
    Compare,
    Filter,
    IsNull,
    Like,
    Not,
    Operator,
    Some,
    WrongFilter,
    columns_of,
    parse,
)
from triptych.core.errors import Kind, TriptychError

COLUMNS = {
    "city": ColumnType.TEXT,
    "paid": ColumnType.BOOLEAN,
    "n": ColumnType.INTEGER,
    "price": ColumnType.DECIMAL,
    "ratio": ColumnType.DOUBLE,
    "day": ColumnType.DATE,
    "at": ColumnType.TIME,
}
PARIS = Compare("city", Operator.EQ, "Paris")
PAID = Compare("paid", Operator.EQ, value=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("city = 'Paris'", PARIS),
        ('city="Paris"', PARIS),
        ("city = 'it''s'", Compare("city", Operator.EQ, "it's")),
        ("paid", PAID),
        ("not paid", Not(PAID)),
        ("not not paid", PAID),
        ("paid = false", Compare("paid", Operator.EQ, value=False)),
        ("n >= -2", Compare("n", Operator.GE, Decimal(-2))),
        ("price < 1.50", Compare("price", Operator.LT, Decimal("1.50"))),
        ("ratio <> 1e3", Compare("ratio", Operator.NE, 1000.0)),
        ("day > '2030-01-02'", Compare("day", Operator.GT, date(2030, 1, 2))),
        (
            "at <= '2030-01-02T01:00:00+01:00'",
            Compare("at", Operator.LE, datetime(2030, 1, 2, tzinfo=UTC)),
        ),
        ("city in ('a', 'b')", Among("city", ("a", "b"))),
        ("city NOT IN ('a')", Not(Among("city", ("a",)))),
        ("city like 'P%'", Like("city", "P%")),
        ("city is null", IsNull("city")),
        ("city is not null", Not(IsNull("city"))),
        ("paid and paid or paid", Some((All((PAID, PAID)), PAID))),
        ("paid and (paid or paid)", All((PAID, Some((PAID, PAID))))),
    ],
)
def test_a_filter_says(text: str, expected: Filter) -> None:
    assert parse(text, COLUMNS) == expected


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        ("", WrongFilter, "at 1: a column's name is expected, and there is the end"),
        ("city", WrongFilter, "at 5: a comparison is expected, and there is the end"),
        ("city = ", WrongFilter, "at 7: a value"),
        ("city = Paris", WrongFilter, "at 8: a value"),
        ("city = 'a' paid", WrongFilter, "at 12: 'and', 'or' or the end is expected"),
        ("(paid", WrongFilter, "at 6: '\\)' is expected"),
        ("city in ()", WrongFilter, "at 10: a value"),
        ("paid; drop table x", WrongFilter, "at 5: ';' says nothing"),
        ("city = 'a", WrongFilter, "at 8"),
        ("citi = 'a'", UnknownColumn, "did you mean 'city'"),
        ("n = 'a'", WrongValue, "n is of type integer, and 'a' is not"),
        ("city = 1", WrongValue, "city is of type text, and 1 is not"),
        ("day = 'yesterday'", WrongValue, "day is of type date"),
        ("at = '2030-01-01T00:00:00'", WrongValue, "at is of type time"),
        ("n like 'a'", WrongValue, "'like' is for text"),
        ("(" * (MAX_DEPTH + 1) + "paid", WrongFilter, "nested more than"),
        ("paid or " * 600 + "paid", WrongFilter, "longer than|more than"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_place(
    text: str, error: type[TriptychError], why: str
) -> None:
    with pytest.raises(error, match=why) as refusal:
        parse(text, COLUMNS)

    assert refusal.value.kind is Kind.MALFORMED


WORDS = st.sampled_from(
    [*COLUMNS, "and", "or", "not", "in", "is", "null", "like", "true", "(", ")", ",", "=", "<", "!=",
     "'x'", '"y"', "1", "-2.5", "'2030-01-01'", " ", "'"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=12).map(" ".join)))
def test_any_text_is_a_filter_or_gets_a_clear_error(text: str) -> None:
    try:
        found = parse(text, COLUMNS)
    except TriptychError as error:
        assert error.kind is Kind.MALFORMED  # noqa: PT017  # one of two outcomes
        assert str(error)  # noqa: PT017
    else:
        assert set(columns_of(found)) <= set(COLUMNS)
