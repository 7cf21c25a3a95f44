"""Cursors lead where they were written for, and nowhere else."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.analytics.domain.cursors import Cursors, Place, WrongCursor

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CURSORS = Cursors(b"k" * 32, timedelta(days=7))
CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=4),
    st.text(),
    st.dates(),
    st.datetimes(timezones=st.just(UTC)),
)
PLACE = Place(("Paris", Decimal("1.50"), date(2030, 1, 1), None), True, {"sales": 7})


@given(st.lists(CELLS, max_size=5), st.booleans(), st.dictionaries(st.text(), st.integers(0, 99)))
def test_a_place_comes_back_as_it_was(
    key: list[object], backwards: bool, versions: dict[str, int]
) -> None:
    place = Place(tuple(key), backwards, versions)  # type: ignore[arg-type]

    assert CURSORS.read(CURSORS.write(place, "q", NOW), "q", NOW) == place


@given(st.integers(0, 10**6))
def test_no_cursor_can_be_altered(where: int) -> None:
    text = CURSORS.write(PLACE, "q", NOW)
    at = where % len(text)
    altered = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]

    try:
        found = CURSORS.read(altered, "q", NOW)
    except WrongCursor:
        return
    assert found == PLACE  # the last character may hold bits that mean nothing


@pytest.mark.parametrize(
    ("cursors", "scope", "later", "why"),
    [
        (CURSORS, "another", timedelta(0), "another query"),
        (Cursors(b"x" * 32, timedelta(days=7)), "q", timedelta(0), "signed with another key"),
        (CURSORS, "q", timedelta(days=8), "older than 7 days"),
    ],
    ids=["foreign", "another-key", "expired"],
)
def test_a_cursor_that_leads_nowhere_says_why(
    cursors: Cursors, scope: str, later: timedelta, why: str
) -> None:
    with pytest.raises(WrongCursor, match=why):
        cursors.read(CURSORS.write(PLACE, "q", NOW), scope, NOW + later)


@given(st.text(max_size=80))
def test_any_text_is_refused_as_a_cursor(text: str) -> None:
    with pytest.raises(WrongCursor):
        CURSORS.read(text, "q", NOW)
