"""Decide whether something that arrived is an event that may be stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from typing import Final, TypeAlias

from triptych.core.domain.contract import Contract
from triptych.core.domain.event import Document, Event, event_from_json
from triptych.core.domain.json import Violation, depth_exceeds, loads, pointer
from triptych.core.domain.result import Err, Ok, Result

ContractSet: TypeAlias = Mapping[str, tuple[Contract, ...]]
"""The contracts by event type; each type's from the oldest version to the newest."""


class Reason(StrEnum):
    """Why something was not stored as an event."""

    MALFORMED = auto()
    """It cannot be read."""
    INVALID = auto()
    """It is no CloudEvent."""
    FORBIDDEN = auto()
    """Whoever sent it may not send events of its type."""
    UNKNOWN = auto()
    """There is no contract for its type, or none with its `dataschema`."""
    CONTRACT = auto()
    """Its data breaks its contract."""
    CONFLICT = auto()
    """Another event has its source and id."""
    UNSTORABLE = auto()
    """The database refuses it."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Something that arrived, as it did."""

    raw: bytes
    """What is kept if it is refused."""
    origin: str
    """Where it came from, such as `http` or `orders.ndjson:17`."""
    event: bytes | None = None
    """The event that was made of it, as JSON, where `raw` is something else, such as a row of CSV."""


@dataclass(frozen=True, slots=True)
class EventLimits:
    """What one event may ask for."""

    event_bytes: int = 1024 * 1024
    depth: int = 64
    """How deep its arrays and objects may be nested."""


USUAL: Final = EventLimits()


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that arrived and may be an event."""

    arrival: Arrival
    value: Result[object, Violation]
    """The JSON that it holds, or why it holds none."""

    @classmethod
    def parse(cls, arrival: Arrival, limits: EventLimits = USUAL) -> "Candidate":
        """What has arrived, read as JSON."""
        if len(arrival.raw) > limits.event_bytes:
            return cls.too_long(arrival, limits)
        try:
            value = loads(arrival.raw if arrival.event is None else arrival.event)
        except ValueError as error:
            return cls.unreadable(arrival, "json", f"not JSON: {error}")
        return cls.parsed(arrival, value, limits)

    @classmethod
    def parsed(cls, arrival: Arrival, value: object, limits: EventLimits = USUAL) -> "Candidate":
        """What has arrived, and the JSON that was found in it."""
        if len(arrival.raw) > limits.event_bytes:
            return cls.too_long(arrival, limits)
        if depth_exceeds(limits.depth, value, arrival.raw):
            return cls.unreadable(arrival, "depth", f"it is nested deeper than {limits.depth}")
        return cls(arrival, Ok(value))

    @classmethod
    def too_long(cls, arrival: Arrival, limits: EventLimits) -> "Candidate":
        """What has arrived and is too long to be read."""
        message = f"it is longer than {limits.event_bytes} bytes"
        return cls.unreadable(arrival, "max-bytes", message)

    @classmethod
    def unreadable(cls, arrival: Arrival, keyword: str, message: str) -> "Candidate":
        """What has arrived and holds no JSON."""
        return cls(arrival, Err(Violation("", keyword, message)))


@dataclass(frozen=True, slots=True)
class Rejection:
    """What was refused, and everything that is wrong with it."""

    arrival: Arrival
    reason: Reason
    violations: tuple[Violation, ...]
    source: str | None = None
    id: str | None = None
    type: str | None = None
    contract: str | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """An event that may be stored, and what it arrived as."""

    document: Document
    arrival: Arrival
    contract: str


Decision: TypeAlias = Result[Admitted, Rejection]


def anything(_: str) -> bool:
    """Whoever sends may send events of every type."""
    return True


@dataclass(frozen=True, slots=True)
class Door:
    """What is asked of everything that arrives at one time and from one sender."""

    contracts: ContractSet
    may_send: Callable[[str], bool] = anything
    """Whether the sender may send events of a type."""
    traceparent: str | None = None
    """The trace (W3C Trace Context) that the events came in, unless they name another one."""

    def admit(self, candidate: Candidate) -> Decision:
        """Let a candidate in, or refuse it with every reason there is."""
        match candidate.value:
            case Err(violation):
                return Err(Rejection(candidate.arrival, Reason.MALFORMED, (violation,)))
            case Ok(value):
                match event_from_json(value):
                    case Err(violations):
                        return Err(_nameless(candidate.arrival, value, violations))
                    case Ok(event):
                        return self._admit_event(candidate.arrival, event)

    def _admit_event(self, arrival: Arrival, event: Event) -> Decision:
        if not self.may_send(event.type):
            violation = Violation("/type", "allowed", f"this key may not send {event.type!r}")
            return Err(_of_event(arrival, event, Reason.FORBIDDEN, (violation,)))
        if violations := _too_long(event):
            return Err(_of_event(arrival, event, Reason.INVALID, violations))
        match _choose(event, self.contracts.get(event.type, ())):
            case Err(violation):
                return Err(_of_event(arrival, event, Reason.UNKNOWN, (violation,)))
            case Ok(contract):
                if violations := contract.violations(event):
                    reason = Reason.CONTRACT
                    return Err(_of_event(arrival, event, reason, violations, contract.id))
                return Ok(Admitted(self._in_trace(event).document, arrival, contract.id))

    def _in_trace(self, event: Event) -> Event:
        if self.traceparent is None or "traceparent" in event.extensions:
            return event
        extensions = {**event.extensions, "traceparent": self.traceparent}
        return replace(event, extensions=extensions)


def conflict(admitted: Admitted) -> Rejection:
    """The rejection of an event whose name is taken by another one."""
    message = "another event of this source has this id, with other content"
    return _of_document(admitted, Reason.CONFLICT, Violation("/id", "unique", message))


def unstorable(decision: Decision, why: str) -> Rejection:
    """The rejection of what a database refuses; of its names, which may be why, nothing is kept."""
    violation = Violation("", "storable", f"the database refuses it: {why}")
    arrival = (decision.value if isinstance(decision, Ok) else decision.error).arrival
    return Rejection(arrival, Reason.UNSTORABLE, (violation,))


NAME_BYTES: Final = 1024
"""How long source, id and type may be: an index of PostgreSQL holds no more than 2,704 bytes."""


def _too_long(event: Event) -> tuple[Violation, ...]:
    return tuple(
        Violation(pointer(name), "max-bytes", f"{name} is longer than {NAME_BYTES} bytes")
        for name, text in (("source", event.source), ("id", event.id), ("type", event.type))
        if len(text) > NAME_BYTES // 4 and len(text.encode()) > NAME_BYTES
    )


def _choose(event: Event, versions: tuple[Contract, ...]) -> Result[Contract, Violation]:
    """The contract that an event names by its `dataschema`, else the newest one."""
    if not versions:
        return Err(Violation("/type", "contract", f"there is no contract for {event.type!r}"))
    if event.dataschema is None:
        return Ok(versions[-1])
    for contract in versions:
        if contract.uri == event.dataschema:
            return Ok(contract)
    message = f"no contract for {event.type!r} has the $id {event.dataschema!r}"
    return Err(Violation("/dataschema", "contract", message))


def _nameless(arrival: Arrival, value: object, violations: tuple[Violation, ...]) -> Rejection:
    """The rejection of what is no event: with as much of a name as can be read."""
    found = value if isinstance(value, dict) else {}
    source, id_, type_ = (
        _readable(text) if isinstance(text := found.get(name), str) else None
        for name in ("source", "id", "type")
    )
    return Rejection(arrival, Reason.INVALID, violations, source, id_, type_)


def _readable(text: str) -> str:
    """Text that every database keeps, and an index: it may be anything."""
    return text[: NAME_BYTES // 4].replace("\0", "\N{REPLACEMENT CHARACTER}")


def _of_event(
    arrival: Arrival,
    event: Event,
    reason: Reason,
    violations: tuple[Violation, ...],
    contract: str | None = None,
) -> Rejection:
    return Rejection(
        arrival,
        reason,
        violations,
        _readable(event.source),
        _readable(event.id),
        _readable(event.type),
        contract,
    )


def _of_document(admitted: Admitted, reason: Reason, violation: Violation) -> Rejection:
    document = admitted.document
    return Rejection(
        admitted.arrival,
        reason,
        (violation,),
        document.source,
        document.id,
        document.type,
        admitted.contract,
    )
