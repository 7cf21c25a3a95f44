"""Events to measure with: all alike, about 430 bytes of JSON each, none with another's id."""

import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

SOURCE: Final = "urn:shop:till-1"
TYPE: Final = "shop.invoice"

_ID: Final = "0" * 16
_EVENT: Final = orjson.dumps(
    {
        "specversion": "1.0",
        "type": TYPE,
        "source": SOURCE,
        "id": _ID,
        "time": "2030-01-01T09:30:00.123456Z",
        "subject": "urn:shop:town:york:street:coppergate:house:12:floor:2:flat:7",
        "dataschema": "urn:triptych:shop.invoice:1",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "data": {
            "invoice": "536365",
            "customer": "17850",
            "country": "United Kingdom",
            "quantity": 40,
            "unit_price": "3.91",
        },
    }
)
_HEAD, _TAIL = _EVENT.split(_ID.encode())


def ids() -> Iterator[bytes]:
    """Ids of 16 bytes that no other call of this function gives."""
    run = secrets.token_hex(4)
    return (b"%s%08x" % (run.encode(), number) for number in itertools.count())


def event(id_: bytes) -> bytes:
    """An event, in the JSON format."""
    return b"%b%b%b" % (_HEAD, id_, _TAIL)


def write_ndjson(file: Path, number: int) -> None:
    """Write so many events, one a line."""
    with file.open("wb", buffering=1 << 20) as lines:
        lines.writelines(event(id_) + b"\n" for id_ in itertools.islice(ids(), number))
