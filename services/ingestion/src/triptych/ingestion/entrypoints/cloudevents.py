"""Read candidates from HTTP: the CloudEvents HTTP protocol binding 1.0.2 (CE-HTTP), and NDJSON."""

import base64
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias
from urllib.parse import unquote_to_bytes

import orjson

from triptych.core.domain.event import JSON_CONTENT
from triptych.core.domain.json import Json, loads
from triptych.core.errors import Kind, TriptychError
from triptych.ingestion.domain.admission import Arrival, Candidate, EventLimits

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
NDJSON: Final = "application/x-ndjson"

RawHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""


class NotUnderstood(TriptychError):
    """The body is of a media type that is not understood here."""

    kind = Kind.UNSUPPORTED
    hint = (
        f"Send {STRUCTURED}, {BATCH} for several events, {NDJSON} for many,"
        " or an event's data with its attributes in ce- headers."
    )


class NotJson(TriptychError):
    """The body is not JSON."""

    kind = Kind.MALFORMED
    hint = "Nothing was stored. Send one JSON object, or an array of them as a batch."


class Mode(Enum):
    """How a request carries events (CE-HTTP 3)."""

    BINARY = auto()
    """One: its attributes are headers, its data is the body."""
    STRUCTURED = auto()
    """One: it is the body."""
    BATCHED = auto()
    """Several: the body is an array of them."""
    STREAMED = auto()
    """Many: each line of the body is one. Not of CE-HTTP."""


_MODES: Final[Mapping[str, Mode]] = {
    STRUCTURED: Mode.STRUCTURED,
    BATCH: Mode.BATCHED,
    NDJSON: Mode.STREAMED,
    "application/ndjson": Mode.STREAMED,
}
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\";\s]+)", re.IGNORECASE)


def mode(content_type: str, headers: RawHeaders) -> Mode:
    """How a request with these headers carries events.

    Raises:
        NotUnderstood: in a way that is not understood here.
    """
    media_type = _media_type(content_type)
    if found := _MODES.get(media_type):
        charset = _CHARSET.search(content_type)
        if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
            raise NotUnderstood(f"{charset[1]!r}: JSON is UTF-8 (RFC 8259, 8.1)")
        return found
    # CE-HTTP 3: what is not of CloudEvents' own media types is in binary mode, if it is an event.
    is_event = any(name.startswith(b"ce-") for name, _ in headers)
    if is_event and not media_type.startswith("application/cloudevents"):
        return Mode.BINARY
    raise NotUnderstood(repr(media_type) if media_type else "there is no Content-Type")


def structured(body: bytes, limits: EventLimits) -> list[Candidate]:
    """The event of a body in structured mode (CE-HTTP 3.2).

    Raises:
        NotJson: the body is not JSON.
    """
    return [Candidate.parsed(Arrival(body, "http"), _json(body), limits)]


def batch(body: bytes) -> list[object]:
    """The members of a body in batched mode (CE-HTTP 3.3).

    Raises:
        NotJson: the body is no JSON array.
    """
    events = _json(body)
    if not isinstance(events, list):
        raise NotJson("a batch is an array")
    return events


def batched(events: Iterable[object], limits: EventLimits) -> Iterator[Candidate]:
    """The events of a batch, one after the other: reading them all takes its time.

    Raises:
        NotJson: one of them is nested too deeply to be kept.
    """
    for event in events:
        try:
            raw = _dumps(event)
        except RecursionError:
            raise NotJson("an event is nested too deeply") from None
        yield Candidate.parsed(Arrival(raw, "http"), event, limits)


def binary(headers: RawHeaders, body: bytes, limits: EventLimits) -> Candidate:
    """The event of a request in binary mode (CE-HTTP 3.1).

    It is kept, if it is refused, in the JSON format, so that it can come again.
    """
    pairs = list(headers)
    attributes: dict[str, Json] = {}
    wrong = ""
    for name, value in pairs:
        if name.startswith(b"ce-"):
            attribute = name[3:].decode("latin-1")
            if attribute in attributes or attribute in _NOT_HEADERS:
                wrong = f"the header {name.decode('latin-1')!r} is there twice, or is none"
            try:
                attributes[attribute] = _header_value(value)
            except UnicodeDecodeError:
                wrong = f"the header {name.decode('latin-1')!r} is not UTF-8, percent-encoded"
                attributes[attribute] = value.decode("latin-1")
    content_type = next((v for n, v in pairs if n == b"content-type"), b"").decode("latin-1")
    if content_type:
        attributes["datacontenttype"] = content_type
    try:
        event = {**attributes, **_data(content_type, body)}
    except ValueError as error:
        event = {**attributes, "data_base64": base64.b64encode(body).decode()}
        wrong = f"the data is not JSON: {error}"
    arrival = Arrival(_dumps(event), "http")
    if wrong:
        return Candidate.unreadable(arrival, "binding", wrong)
    return Candidate.parsed(arrival, event, limits)


_NOT_HEADERS: Final = frozenset({"data", "data_base64", "datacontenttype"})


@dataclass(slots=True)
class Lines:
    """The candidates of a stream of NDJSON, a few at a time; never the whole in memory."""

    limits: EventLimits
    batch_events: int = 500
    batch_bytes: int = 1024 * 1024
    number: int = 0
    """Lines that were read."""

    async def read(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[list[Candidate]]:
        """The candidates of the lines that are not blank, in order."""
        found: list[Candidate] = []
        size = 0
        async for line in self._lines(chunks):
            self.number += 1
            if line and not line.isspace():
                found.append(Candidate.parse(Arrival(line, f"http:{self.number}"), self.limits))
                size += len(line)
            if len(found) == self.batch_events or size >= self.batch_bytes:
                yield found
                found, size = [], 0
        if found:
            yield found

    async def _lines(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        rest = b""
        too_long = False
        async for chunk in chunks:
            first, *others = chunk.split(b"\n")
            if not too_long:
                rest += first
            if others:
                yield rest
                for line in others[:-1]:
                    yield line
                rest, too_long = others[-1], False
            if len(rest) > self.limits.event_bytes:
                # As much as shows that it is too long; what follows of it is not kept.
                rest, too_long = rest[: self.limits.event_bytes + 1], True
        yield rest


def _data(content_type: str, body: bytes) -> dict[str, Json]:
    """The member of the JSON format that holds this data (CE-JSON 3.1)."""
    media_type = _media_type(content_type) or JSON_CONTENT
    if not body:
        return {}
    if media_type.endswith(("/json", "+json")):
        return {"data": loads(body)}  # type: ignore[dict-item]  # JSON is what it holds
    if media_type.startswith("text/"):
        try:
            return {"data": body.decode()}
        except UnicodeDecodeError:
            pass  # of another charset: bytes are what is left
    return {"data_base64": base64.b64encode(body).decode()}


def _header_value(value: bytes) -> str:
    """The attribute's value (CE-HTTP 3.1.3.2): unquoted, then percent-decoded."""
    if len(value) > 1 and value.startswith(b'"') and value.endswith(b'"'):
        value = re.sub(rb"\\(.)", rb"\1", value[1:-1])
    return unquote_to_bytes(value).decode()


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _json(body: bytes) -> object:
    try:
        return loads(body)
    except ValueError as error:
        raise NotJson(str(error)) from None


def _dumps(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # whole numbers of more than 64 bits
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
