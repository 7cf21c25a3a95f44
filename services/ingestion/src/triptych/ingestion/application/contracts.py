"""Check contracts before events are checked against them."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, auto
from itertools import pairwise

from triptych.core.domain.contract import Contract
from triptych.core.domain.event import JSON_CONTENT, Event
from triptych.core.domain.json import Json, Violation
from triptych.ingestion.domain.admission import ContractSet
from triptych.ingestion.domain.compatibility import Change, Direction, compare


class Mode(StrEnum):
    """Which directions have to hold from one version to the next."""

    BACKWARD = auto()
    FORWARD = auto()
    FULL = auto()
    """Both."""
    NONE = auto()

    def directions(self) -> frozenset[Direction]:
        """The directions that have to hold."""
        match self:
            case Mode.FULL:
                return frozenset(Direction)
            case Mode.NONE:
                return frozenset()
            case _:
                return frozenset({Direction(self.value)})


OWN_MODE = "x-compatibility"
"""The keyword by which a contract says which mode holds for it."""
INVALID_EXAMPLES = "x-invalid-examples"
"""The keyword for examples that have to be refused."""


@dataclass(frozen=True, slots=True)
class Step:
    """A version, the one before it, and what breaks between the two."""

    old: Contract
    new: Contract
    mode: Mode
    breaking: tuple[Change, ...]


def check_versions(contracts: ContractSet, mode: Mode) -> Iterator[Step]:
    """Each version beside the one before it; `mode` holds where a contract names no other."""
    for versions in contracts.values():
        for old, new in pairwise(versions):
            own = new.schema.get(OWN_MODE)
            holds = Mode(own) if isinstance(own, str) and own in set(Mode) else mode
            wanted = holds.directions()
            breaking = tuple(change for change in compare(old, new) if change.breaks & wanted)
            yield Step(old, new, holds, breaking)


@dataclass(frozen=True, slots=True)
class Examples:
    """What became of a contract's examples."""

    contract: Contract
    number: int
    failures: tuple[str, ...]


def try_examples(contracts: ContractSet) -> Iterator[Examples]:
    """Whether each contract's examples are valid, and its invalid ones are not."""
    for versions in contracts.values():
        for contract in versions:
            valid = _list(contract.schema.get("examples"))
            invalid = _list(contract.schema.get(INVALID_EXAMPLES))
            failures = [
                *_refused(contract, valid),
                *_let_in(contract, invalid),
            ]
            yield Examples(contract, len(valid) + len(invalid), tuple(failures))


def _refused(contract: Contract, examples: list[Json]) -> Iterator[str]:
    for n, data in enumerate(examples):
        for violation in _violations(contract, data):
            yield f"examples/{n} is refused: {violation}"


def _let_in(contract: Contract, examples: list[Json]) -> Iterator[str]:
    for n, example in enumerate(examples):
        if not isinstance(example, dict) or "data" not in example:
            yield f'{INVALID_EXAMPLES}/{n} is not like {{"data": …, "violations": […]}}'
            continue
        broken = {f"{v.pointer} {v.keyword}" for v in _violations(contract, example["data"])}
        if not broken:
            yield f"{INVALID_EXAMPLES}/{n} is let in"
        for wanted in _list(example.get("violations")):
            if wanted not in broken:
                found = ", ".join(sorted(broken))
                yield f"{INVALID_EXAMPLES}/{n} does not break {wanted!r}, but {found or 'nothing'}"


def _violations(contract: Contract, data: Json) -> tuple[Violation, ...]:
    example = Event(
        id="1",
        source="urn:example",
        type=contract.type,
        datacontenttype=JSON_CONTENT,
        data=data,
    )
    return contract.violations(example)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
