"""Build values for tests: everything has a default, a test names only what it is about."""

from datetime import UTC, datetime
from typing import Any

from triptych.core.domain.event import Event

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def an_event(**attributes: Any) -> Event:
    """An event of the type `test.happened`."""
    defaults: dict[str, Any] = {
        "id": "1",
        "source": "urn:test",
        "type": "test.happened",
        "time": NOON,
        "data": {"n": 1},
    }
    return Event(**{**defaults, **attributes})


def event_json(**members: Any) -> dict[str, Any]:
    """A CloudEvent of the type `test.happened`, in the JSON format."""
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "urn:test",
        "type": "test.happened",
        "time": "2030-01-01T12:00:00Z",
        "data": {"n": 1},
        **members,
    }


def invoice_json(**data: Any) -> dict[str, Any]:
    """A valid `shop.invoice`, in the JSON format; its id is its invoice's number."""
    invoice = {
        "invoice": "100001",
        "country": "France",
        "quantity": 2,
        "unit_price": "3.50",
        **data,
    }
    return event_json(type="shop.invoice", id=str(invoice["invoice"]), data=invoice)
