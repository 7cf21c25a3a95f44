"""Pages, and the cursors that lead from one to the next."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from triptych.core.domain.page import Cursor, Key, Page
from triptych.core.domain.result import Err, Ok

SECRET = b"a secret of the service"

# Text that UTF-8 can say, integers of 64 bits, numbers that JSON has a word for.
texts = st.text(st.characters(codec="utf-8"))
keys: st.SearchStrategy[Key] = st.one_of(
    texts,
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
cursors = st.builds(Cursor, st.lists(keys, max_size=4).map(tuple), texts)


def refusal(text: str, secret: bytes = SECRET, *, scope: str = "") -> str:
    """Why the text is no cursor."""
    match Cursor.decode(text, secret, scope=scope):
        case Err(reason):
            return reason
        case Ok(cursor):
            pytest.fail(f"it was read as {cursor}")


@given(cursors)
def test_a_cursor_survives_being_written(cursor: Cursor) -> None:
    assert Cursor.decode(cursor.encode(SECRET), SECRET, scope=cursor.scope) == Ok(cursor)


@given(cursors)
def test_a_cursor_needs_no_escaping_in_a_url(cursor: Cursor) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor.encode(SECRET))


@given(cursors, st.data())
def test_one_other_character_never_makes_another_cursor(
    cursor: Cursor, data: st.DataObject
) -> None:
    text = cursor.encode(SECRET)
    place = data.draw(st.integers(0, len(text) - 1))
    # What Base64 knows is where a forger would try; the rest has to be refused as well.
    other = data.draw(st.from_regex(r"[A-Za-z0-9_\-+/=]", fullmatch=True) | st.characters())

    read = Cursor.decode(text[:place] + other + text[place + 1 :], SECRET, scope=cursor.scope)

    assert isinstance(read, Err) or read == Ok(cursor)


@given(cursors, st.data())
def test_a_part_of_a_cursor_is_refused(cursor: Cursor, data: st.DataObject) -> None:
    text = cursor.encode(SECRET)

    part = text[: data.draw(st.integers(0, len(text) - 1))]

    assert refusal(part, scope=cursor.scope)


@given(cursors, st.data())
def test_a_cursor_with_something_in_between_is_refused(cursor: Cursor, data: st.DataObject) -> None:
    text = cursor.encode(SECRET)
    place = data.draw(st.integers(0, len(text)))

    longer = text[:place] + data.draw(st.sampled_from(" \n.!~é")) + text[place:]

    assert refusal(longer, scope=cursor.scope)


@given(st.text())
def test_text_that_the_service_did_not_write_is_refused(text: str) -> None:
    assert refusal(text)


def test_an_altered_cursor_is_refused_with_the_reason() -> None:
    text = Cursor((1,)).encode(SECRET)

    assert "altered" in refusal(text[:-4] + "AAAA")


def test_what_is_no_base64_is_refused_with_the_reason() -> None:
    assert "not one that this service wrote" in refusal("page 2")


@given(cursors, st.binary())
def test_a_cursor_of_another_secret_is_refused(cursor: Cursor, secret: bytes) -> None:
    assume(secret != SECRET)

    assert "another key" in refusal(cursor.encode(secret), scope=cursor.scope)


@given(cursors, texts)
def test_a_cursor_opens_no_other_query(cursor: Cursor, scope: str) -> None:
    assume(scope != cursor.scope)

    assert "another query" in refusal(cursor.encode(SECRET), scope=scope)


@pytest.mark.parametrize(
    ("found", "items", "more"),
    [
        ([], (), False),
        ([1], (1,), False),
        ([1, 2], (1, 2), False),
        ([1, 2, 3], (1, 2), True),
        ([1, 2, 3, 4], (1, 2), True),
    ],
)
def test_a_page_is_cut_at_its_limit_and_says_whether_there_is_more(
    found: list[int], items: tuple[int, ...], more: bool
) -> None:
    page = Page.of(found, 2, key=lambda n: (n,))

    assert page.items == items
    assert (page.next is not None) == more


def test_the_next_page_begins_after_the_last_item() -> None:
    page = Page.of(["a", "b", "c"], 2, key=lambda item: (item, 7), scope="letters")

    assert page.next == Cursor(("b", 7), "letters")


@given(st.lists(st.integers(0, 1000), unique=True), st.integers(1, 10))
def test_a_walk_through_the_pages_sees_each_item_once(numbers: list[int], limit: int) -> None:
    seen: list[int] = []
    cursor: Cursor | None = Cursor((-1,))

    while cursor:
        (after,) = cursor.after
        assert isinstance(after, int)
        found = sorted(n for n in numbers if n > after)[: limit + 1]
        page = Page.of(found, limit, key=lambda n: (n,))
        assert len(page.items) <= limit
        seen += page.items
        cursor = page.next

    assert seen == sorted(numbers)


def test_a_page_with_other_items_leads_to_the_same_next_page() -> None:
    page = Page.of([1, 2, 3], 2, key=lambda n: (n,))

    changed = page.map(str)

    assert changed.items == ("1", "2")
    assert changed.next == page.next
