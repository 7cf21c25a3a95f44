"""A made-up shop whose tills send invoices: the same ones every time."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_COUNTRIES = {"United Kingdom": 60, "Germany": 14, "France": 12, "Ireland": 8, "Norway": 6}
_START = datetime(2025, 1, 1, 8, tzinfo=UTC)
_DAYS = 364
DELIVERIES: Final = 600
"""The lines of the warehouse's files."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How many of a hundred invoices are out of the ordinary."""

    cancelled: float = 6.0
    broken: float = 2.0
    """Refused by the contract or the specification."""
    repeated: float = 1.5
    """Sent a second time, as a till does whose connection broke."""
    changed: float = 0.2
    """Sent a second time with other content: a conflict."""
    slipped: float = 0.3
    """With a price that only a slip of the keyboard explains: for the quarantine."""


def invoices(number: int, seed: int = 7, shares: Shares | None = None) -> Iterator[dict[str, Any]]:
    """CloudEvents for `number` invoices, and those that are sent twice.

    They come in the order of their times, but for one in fifty that arrives a season late.
    """
    chance = random.Random(seed)  # noqa: S311  # a till's invoices, no secrets
    shares = shares or Shares()
    late: list[dict[str, Any]] = []
    for index in range(number):
        at = _START + timedelta(days=_DAYS * index / number, seconds=chance.randrange(36_000))
        event = _invoice(chance, index, at, shares)
        if chance.random() < 0.02:  # noqa: PLR2004  # one in fifty
            late.append(event)
        else:
            yield event
        if late and index > number // 4 and chance.random() < 0.1:  # noqa: PLR2004
            yield late.pop(0)
        if chance.random() * 100 < shares.repeated:
            yield event
        if chance.random() * 100 < shares.changed:
            yield {**event, "data": {**event["data"], "country": "Denmark"}}
    yield from late


def _invoice(chance: random.Random, index: int, at: datetime, shares: Shares) -> dict[str, Any]:
    cancelled = chance.random() * 100 < shares.cancelled
    [country] = chance.choices(list(_COUNTRIES), list(_COUNTRIES.values()))
    price = 999_999 if chance.random() * 100 < shares.slipped else chance.randint(1, 60)
    number = f"{'C' if cancelled else ''}{700_000 + index}"
    data = {
        "invoice": number,
        "country": country,
        "quantity": -chance.randint(1, 5) if cancelled else chance.randint(1, 120),
        "unit_price": f"{price}.{chance.randrange(100):02}",
    }
    if chance.random() < 0.8:  # noqa: PLR2004  # the others are guests
        data["customer"] = str(chance.randint(10_000, 10_999))
    event = {
        "specversion": "1.0",
        "type": "shop.invoice",
        "source": f"urn:shop:till-{chance.randint(1, 4)}",
        "id": number,
        "time": at.isoformat(),
        "data": data,
    }
    return _break(chance, event) if chance.random() * 100 < shares.broken else event


def _break(chance: random.Random, event: dict[str, Any]) -> dict[str, Any]:
    match chance.randrange(4):
        case 0:
            return {**event, "data": {**event["data"], "unit_price": "0"}}
        case 1:
            return {**event, "data": {**event["data"], "quantity": "many"}}
        case 2:
            return {**event, "time": "yesterday"}
        case _:
            return {**event, "type": "shop.invoyce"}


def deliveries(seed: int = 7) -> Mapping[str, str]:
    """The warehouse's files, two of CSV, by bucket and key: what it sent off for the first invoices."""
    chance = random.Random(seed)  # noqa: S311  # a warehouse's parcels, no secrets
    files = {}
    for half in range(2):
        lines = ["invoice,parcels,delivered"]
        for index in range(half * DELIVERIES // 2, (half + 1) * DELIVERIES // 2):
            at = _START + timedelta(hours=3 * index, minutes=chance.randrange(60))
            lines.append(f"{700_000 + index},{chance.randint(1, 3)},{at.isoformat()}")
        files[f"shop/deliveries/{half + 1}.csv"] = "\n".join([*lines, ""])
    return files
