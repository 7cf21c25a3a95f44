"""Decide whether something that arrived is an event that may be stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import TypeAlias

import orjson

from triptych.core.domain.contract import Contract
from triptych.core.domain.event import Event, event_from_json
from triptych.core.domain.json import Violation
from triptych.core.domain.result import Err, Ok, Result

ContractSet: TypeAlias = Mapping[str, tuple[Contract, ...]]
"""The contracts by event type; each type's from the oldest version to the newest."""


class Reason(StrEnum):
    """Why something was not stored as an event."""

    MALFORMED = auto()
    """It cannot be read."""
    INVALID = auto()
    """It is no CloudEvent."""
    UNKNOWN = auto()
    """There is no contract for its type, or none with its `dataschema`."""
    CONTRACT = auto()
    """Its data breaks its contract."""
    CONFLICT = auto()
    """Another event has its source and id."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that arrived and may be an event."""

    raw: bytes
    """As it arrived: what is kept if it is refused."""
    origin: str
    """Where it came from, such as `http` or `orders.ndjson:17`."""
    value: Result[object, Violation]
    """The JSON that it holds, or why it holds none."""

    @classmethod
    def parse(cls, raw: bytes, origin: str) -> "Candidate":
        """What these bytes hold."""
        try:
            return cls(raw, origin, Ok(orjson.loads(raw)))
        except orjson.JSONDecodeError as error:
            return cls(raw, origin, Err(Violation("", "json", f"not JSON: {error}")))


@dataclass(frozen=True, slots=True)
class Rejection:
    """What was refused, and everything that is wrong with it."""

    candidate: Candidate
    reason: Reason
    violations: tuple[Violation, ...]
    source: str | None = None
    id: str | None = None
    type: str | None = None
    contract: str | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """An event that may be stored, and what it arrived as."""

    event: Event
    candidate: Candidate
    contract: str


Decision: TypeAlias = Result[Admitted, Rejection]


def admit(candidate: Candidate, contracts: ContractSet) -> Decision:
    """Let a candidate in, or refuse it with every reason there is."""
    match candidate.value:
        case Err(violation):
            return Err(Rejection(candidate, Reason.MALFORMED, (violation,)))
        case Ok(value):
            match event_from_json(value):
                case Err(violations):
                    return Err(_rejection(candidate, value, violations))
                case Ok(event):
                    return _admit_event(candidate, event, contracts)


def _admit_event(candidate: Candidate, event: Event, contracts: ContractSet) -> Decision:
    match _choose(event, contracts.get(event.type, ())):
        case Err(violation):
            return Err(_of_event(candidate, event, Reason.UNKNOWN, (violation,)))
        case Ok(contract):
            if violations := contract.violations(event):
                reason = Reason.CONTRACT
                return Err(_of_event(candidate, event, reason, violations, contract.id))
            return Ok(Admitted(event, candidate, contract.id))


def conflict(admitted: Admitted) -> Rejection:
    """The rejection of an event whose name is taken by another one."""
    message = "another event of this source has this id, with other content"
    return _of_event(
        admitted.candidate,
        admitted.event,
        Reason.CONFLICT,
        (Violation("/id", "unique", message),),
        admitted.contract,
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


def _rejection(candidate: Candidate, value: object, violations: tuple[Violation, ...]) -> Rejection:
    """The rejection of what is no event: with as much of a name as can be read."""
    found = value if isinstance(value, dict) else {}
    source, id_, type_ = (
        text if isinstance(text := found.get(name), str) else None
        for name in ("source", "id", "type")
    )
    return Rejection(candidate, Reason.INVALID, violations, source, id_, type_)


def _of_event(
    candidate: Candidate,
    event: Event,
    reason: Reason,
    violations: tuple[Violation, ...],
    contract: str | None = None,
) -> Rejection:
    return Rejection(candidate, reason, violations, event.source, event.id, event.type, contract)
