"""A client gets the form that it likes best of those that there are."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from triptych.service.negotiation import NotAcceptable, choose, prefers_minimal

JSON, CSV, ARROW = "application/json", "text/csv", "application/vnd.apache.arrow.stream"
OFFERED = [JSON, CSV, ARROW]

types = st.sampled_from(["application", "text", "image"])
offers = st.lists(
    st.builds("{}/{}".format, types, st.sampled_from(["a", "b", "c"])), min_size=1, unique=True
)
weights = st.integers(0, 1000).map(lambda n: n / 1000)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        (" , ,", JSON),
        ("rubbish", JSON),
        ("text/csv;q=2", JSON),  # rubbish, too
        ("*/*", JSON),
        ("*/*;q=0.001", JSON),
        (CSV, CSV),
        ("Text/CSV", CSV),
        ("text/*", CSV),
        (f"{CSV}, {JSON}", JSON),
        (f"{CSV}, {JSON};q=0.9", CSV),
        (f"{CSV};q=0.5 , {JSON} ; Q=0.4", CSV),
        ("application/json;q=0, */*", CSV),
        ("application/*;q=0, */*;q=0.1", CSV),
        (f"*/*, {ARROW};q=0.5, application/*;q=0.2, {CSV};q=0.1", ARROW),
        ("text/csv;header=present, */*;q=0.1", JSON),
        ("image/png, rubbish, text/csv", CSV),
        ('image/png;x="a, text/csv", application/json', JSON),
        ("*/csv, application/json;q=0.1", JSON),
    ],
)
def test_the_best_liked_form_is_chosen(accept: str | None, chosen: str) -> None:
    assert choose(accept, OFFERED) == chosen


def test_a_range_with_parameters_is_more_specific() -> None:
    offered = ["text/csv;header=present", "text/csv;header=absent"]

    assert choose('text/csv, TEXT/csv; Header="Absent";q=1, text/csv;q=0.1', offered) == offered[0]
    assert choose("text/csv;q=0.1, text/csv;header=absent", offered) == offered[1]


@pytest.mark.parametrize(
    "accept", ["image/png", "image/*", "*/*;q=0", f"{JSON};q=0", "text/csv;header=present"]
)
def test_who_wants_nothing_that_there_is_learns_what_there_is(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="/") as caught:
        choose(accept, OFFERED)

    assert all(offer in caught.value.hint for offer in OFFERED)


@given(offers, st.dictionaries(st.integers(0, 8), weights))
def test_the_chosen_form_has_the_largest_weight_and_is_the_first_that_has(
    offered: list[str], chosen_weights: dict[int, float]
) -> None:
    liked = {o: chosen_weights.get(i, 0.0) for i, o in enumerate(offered)}
    accept = ", ".join(f"{offer};q={weight}" for offer, weight in reversed(liked.items()))

    if not any(liked.values()):
        with pytest.raises(NotAcceptable):
            choose(accept, offered)
        return

    assert choose(accept, offered) == max(offered, key=lambda offer: liked[offer])


@given(offers, st.permutations(["*/*;q=0.1", "text/*;q=0.2", "text/b;q=0.3"]))
def test_the_order_of_wishes_means_nothing(offered: list[str], wishes: list[str]) -> None:
    def weight(offer: str) -> float:
        return 0.3 if offer == "text/b" else 0.2 if offer.startswith("text/") else 0.1

    assert choose(", ".join(wishes), offered) == max(offered, key=weight)


@given(st.text())
def test_whatever_a_client_says_it_gets_an_offer_or_is_told_them(accept: str) -> None:
    try:
        chosen = choose(accept, OFFERED)
    except NotAcceptable:
        return

    assert chosen in OFFERED


@pytest.mark.parametrize("rubbish", ['"', '\\"', '"\\', ",", ";", "a/b,", 'a/b;"'])
def test_reading_rubbish_takes_no_time(rubbish: str) -> None:
    accept = rubbish * (32_768 // len(rubbish))

    started = time.perf_counter()
    prefers_minimal(Headers({"prefer": accept}))
    with suppress(NotAcceptable):
        choose(accept, OFFERED)

    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("fields", "minimal"),
    [
        ([], False),
        (["return=minimal"], True),
        (["Return = Minimal"], True),
        (['return="minimal"'], True),
        (["return=minimal; foo=bar"], True),
        (["respond-async, return=minimal"], True),
        (["respond-async", "return=minimal"], True),
        (["return=representation"], False),
        (["return=representation, return=minimal"], False),
        (["return"], False),
        (["foo; return=minimal"], False),
        (['foo="a, return=minimal"'], False),
    ],
)
def test_a_client_that_needs_no_body_is_known(fields: list[str], minimal: bool) -> None:
    headers = Headers(raw=[(b"prefer", field.encode()) for field in fields])

    assert prefers_minimal(headers) is minimal
