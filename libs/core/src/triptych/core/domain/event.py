"""An event, as CloudEvents 1.0.2 defines it, and its JSON form.

References are to the CloudEvents specification 1.0.2 (CE) and its JSON event format (CE-JSON).
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final, TypeAlias

import orjson

from triptych.core.domain.json import Json, Violation, pointer
from triptych.core.domain.result import Err, Ok, Result
from triptych.core.errors import Kind, TriptychError

SPEC_VERSION: Final = "1.0"
JSON_CONTENT = "application/json"

Extension: TypeAlias = str | int | bool
"""An extension attribute's value (CE Type System): what JSON can say of the CloudEvents types."""


class InvalidEvent(TriptychError):
    """This is no valid CloudEvent."""

    kind = Kind.INVALID
    hint = "See the CloudEvents specification, version 1.0.2."

    def __init__(self, violations: Iterable[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(map(str, self.violations)))


@dataclass(frozen=True, slots=True)
class Document:
    """An event as it is kept: its name, its type, and all of it as text."""

    source: str
    id: str
    type: str
    fingerprint: bytes
    """A SHA-256 of the content: equal for equal events, however they were written.

    The trace that an event came in (`traceparent`, `tracestate`: the distributed tracing extension)
    is no part of it: an event that is sent again comes in another trace, and is the same event.
    """
    json: str
    """The event in the JSON format, its members in the order of their names."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened (CE 3): who says so, what it was, and its data. Never invalid.

    `source` and `id` together name the event: two events that share both are the same one.

    Raises:
        InvalidEvent: with every rule that the attributes break.
    """

    id: str
    source: str
    """A URI-reference: the context in which the event happened."""
    type: str
    time: datetime | None = None
    """When it happened; kept in UTC."""
    subject: str | None = None
    datacontenttype: str | None = None
    """A media type (RFC 2046); absent means `application/json`."""
    dataschema: str | None = None
    """A URI: the schema that the data adheres to."""
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    data: Json | bytes = None
    """JSON, or bytes for any other media type. `None` is both JSON's null and no data at all."""

    def __post_init__(self) -> None:
        if not _sound(self) and (violations := tuple(_violations(self))):
            raise InvalidEvent(violations)
        if self.time is not None:
            try:
                object.__setattr__(self, "time", self.time.astimezone(UTC))
            except OverflowError:
                wrong = Violation("/time", "timestamp", "time is beyond all calendars")
                raise InvalidEvent([wrong]) from None
        object.__setattr__(self, "extensions", MappingProxyType(dict(self.extensions)))

    def to_json(self) -> dict[str, Json]:
        """The event in the JSON format (CE-JSON 3); absent attributes are left out."""
        present: dict[str, Json] = {
            "specversion": SPEC_VERSION,
            "id": self.id,
            "source": self.source,
            "type": self.type,
        }
        if self.subject is not None:
            present["subject"] = self.subject
        if self.time is not None:
            present["time"] = _rfc3339(self.time)
        if self.datacontenttype is not None:
            present["datacontenttype"] = self.datacontenttype
        if self.dataschema is not None:
            present["dataschema"] = self.dataschema
        present.update(self.extensions)
        if isinstance(self.data, bytes):
            present["data_base64"] = base64.b64encode(self.data).decode()
        elif self.data is not None:
            present["data"] = self.data
        return present

    @property
    def document(self) -> "Document":
        """What is kept of the event, written once and for all."""
        # functools.cached_property has a lock for the whole class before Python 3.12: threads that
        # read events side by side would wait for one another.
        document: Document | None = self.__dict__.get("_document")
        if document is None:
            document = self.__dict__["_document"] = self._write()
        return document

    def _write(self) -> "Document":
        members = self.to_json()
        text = orjson.dumps(members, option=orjson.OPT_SORT_KEYS)
        same = text
        if not _TRACE.isdisjoint(members):
            told = {name: value for name, value in members.items() if name not in _TRACE}
            same = orjson.dumps(told, option=orjson.OPT_SORT_KEYS)
        fingerprint = hashlib.sha256(same).digest()
        return Document(self.source, self.id, self.type, fingerprint, text.decode())


def event_from_json(value: object) -> Result[Event, tuple[Violation, ...]]:
    """The event that a parsed JSON value (CE-JSON 3) describes, or all that is wrong with it."""
    if not isinstance(value, dict):
        return Err((Violation("", "type", "an event is a JSON object"),))
    members = value
    if None in value.values():  # CE-JSON 2.2: an attribute that is null counts as absent
        members = {name: member for name, member in value.items() if member is not None}
    violations = [] if _readable(members) else list(_unreadable(members))
    time = _parse_time(members.get("time"), violations)
    data = _parse_data(members, violations)
    violations += [
        Violation(pointer(name), "required", f"{name} is missing")
        for name in _REQUIRED
        if name not in members
    ]
    attributes, extensions = {}, {}
    for name, member in members.items():
        if name not in _KNOWN:
            extensions[name] = member
        elif name in _TEXTS and isinstance(member, str):
            attributes[name] = member
    if violations:  # say what the constructor would find, too: all at once
        violations += _attribute_violations({**attributes, "time": time}, extensions)
        return Err(tuple(violations))
    try:
        event = Event(**attributes, time=time, extensions=extensions, data=data)
        _ = event.document  # whoever stores it needs it; and it tells if it can be written
    except InvalidEvent as invalid:
        return Err(invalid.violations)
    except TypeError as error:  # nested too deeply, or a whole number of more than 64 bits
        return Err((Violation("/data", "json", f"data cannot be written as JSON: {error}"),))
    return Ok(event)


_REQUIRED = ("id", "source", "type")
_TEXTS = (*_REQUIRED, "subject", "datacontenttype", "dataschema")
_TRACE = frozenset({"traceparent", "tracestate"})
_KNOWN = frozenset({*_TEXTS, "specversion", "time", "data", "data_base64"})

_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?"
    r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)  # RFC 3339, 5.6
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:" + _URI_REFERENCE.pattern)  # RFC 3986, 4.3
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(\s*;.*)?", re.ASCII)
_EXTENSION_NAME = re.compile(r"[a-z0-9]+")  # CE Type System
# CE Type System: no control characters, no non-characters, no lone surrogates.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane * 0x10000 + last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_INT32 = range(-(2**31), 2**31)  # CE Type System: Integer

_FORMS: Mapping[str, tuple[re.Pattern[str], str, str]] = {
    "source": (_URI_REFERENCE, "uri-reference", "is not a URI-reference (RFC 3986, 4.1)"),
    "dataschema": (_URI, "uri", "is not an absolute URI (RFC 3986, 4.3)"),
    "datacontenttype": (_MEDIA_TYPE, "media-type", "is not a media type (RFC 2046)"),
}


def _sound(event: Event) -> bool:
    """Whether there is nothing wrong with an event, as can be said of most at little cost."""
    return (
        _plain(event.id)
        and _well_formed("source", event.source)
        and _plain(event.type)
        and (event.time is None or event.time.tzinfo is not None)
        and (event.subject is None or _plain(event.subject))
        and (
            event.datacontenttype is None or _well_formed("datacontenttype", event.datacontenttype)
        )
        and (event.dataschema is None or _well_formed("dataschema", event.dataschema))
        and all(
            _well_formed("extension", name) and isinstance(value, str) and _plain(value)
            for name, value in event.extensions.items()
        )
    )


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and text != ""


def _well_formed(name: str, text: str) -> bool:
    return len(text) <= _REMEMBERED and _remembered_form(name, text)


_REMEMBERED = 256  # characters: what is longer is not worth the memory


@lru_cache(maxsize=1024)  # events of one system share their sources and extensions
def _remembered_form(name: str, text: str) -> bool:
    if name == "extension":
        return text not in _KNOWN and _EXTENSION_NAME.fullmatch(text) is not None
    return _plain(text) and _FORMS[name][0].fullmatch(text) is not None


def _violations(event: Event) -> Iterator[Violation]:
    attributes = {name: value for name in _TEXTS if (value := getattr(event, name)) is not None}
    return _attribute_violations({**attributes, "time": event.time}, event.extensions)


def _attribute_violations(
    attributes: Mapping[str, str | datetime | None], extensions: Mapping[str, object]
) -> Iterator[Violation]:
    for name in _TEXTS:
        if isinstance(text := attributes.get(name), str):
            yield from _text_violations(name, text)
    time = attributes["time"]
    if isinstance(time, datetime) and time.tzinfo is None:
        yield Violation("/time", "timestamp", "time has no offset")
    for name, value in extensions.items():
        yield from _extension_violations(name, value)


def _text_violations(name: str, text: str) -> Iterator[Violation]:
    if not text:
        yield Violation(pointer(name), "non-empty", f"{name} is empty")
    elif _FORBIDDEN.search(text):
        yield Violation(pointer(name), "string", f"{name} has a character that is not allowed")
    elif (form := _FORMS.get(name)) and not form[0].fullmatch(text):
        yield Violation(pointer(name), form[1], f"{name} {form[2]}")


def _extension_violations(name: str, value: object) -> Iterator[Violation]:
    if name in _KNOWN or not _EXTENSION_NAME.fullmatch(name):
        message = f"{name!r} is no name for an attribute: use lower-case letters and digits"
        yield Violation(pointer(name), "attribute-name", message)
    if isinstance(value, str):
        if _FORBIDDEN.search(value):
            yield Violation(pointer(name), "string", f"{name} has a character that is not allowed")
    elif not isinstance(value, int):
        message = f"{name} is neither text nor a whole number nor true or false"
        yield Violation(pointer(name), "type", message)
    elif value not in _INT32:
        yield Violation(pointer(name), "integer", f"{name} does not fit into 32 bits")


def _readable(members: Mapping[str, object]) -> bool:
    """Whether `_unreadable` has nothing to say, as can be said of most at little cost."""
    return members.get("specversion") == SPEC_VERSION and all(
        name not in members or isinstance(members[name], str) for name in (*_TEXTS, "time")
    )


def _unreadable(members: Mapping[str, object]) -> Iterator[Violation]:
    """What keeps the members from being read as attributes at all."""
    version = members.get("specversion")
    if version is None:
        yield Violation("/specversion", "required", "specversion is missing")
    elif version != SPEC_VERSION:
        message = f"specversion is not {SPEC_VERSION!r}, the only one understood here"
        yield Violation("/specversion", "const", message)
    for name in (*_TEXTS, "time"):
        if name in members and not isinstance(members[name], str):
            yield Violation(pointer(name), "type", f"{name} is not text")


def _parse_time(value: object, violations: list[Violation]) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        if _RFC3339.fullmatch(value):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # a month 13, or year 1 east of Greenwich: answered below, like any other wrong form
    violations.append(Violation("/time", "timestamp", "time is not a timestamp (RFC 3339)"))
    return None


def _parse_data(members: Mapping[str, Json], violations: list[Violation]) -> Json | bytes:
    if "data_base64" not in members:
        return members.get("data")
    if "data" in members:
        message = "data and data_base64 exclude each other"
        violations.append(Violation("/data_base64", "exclusive", message))
    text = members["data_base64"]
    if not isinstance(text, str):
        violations.append(Violation("/data_base64", "type", "data_base64 is not text"))
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        message = "data_base64 is not Base64 (RFC 4648)"
        violations.append(Violation("/data_base64", "base64", message))
        return None


def _rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
