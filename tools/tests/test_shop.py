"""The made-up shop: the demo's input."""

from collections import Counter

from triptych.tools.shop import invoices


def test_the_shop_sends_the_same_every_time() -> None:
    assert list(invoices(200)) == list(invoices(200))


def test_another_seed_is_another_year() -> None:
    assert list(invoices(20, seed=1)) != list(invoices(20, seed=2))


def test_some_invoices_are_sent_twice_and_some_arrive_late() -> None:
    events = list(invoices(1000))

    times = [event["time"] for event in events if event["time"] != "yesterday"]
    twice = [name for name, n in Counter(event["id"] for event in events).items() if n > 1]

    assert twice
    assert times != sorted(times)
