"""What the use cases need from the world."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from triptych.core.domain.event import Event
from triptych.core.domain.json import Violation
from triptych.ingestion.domain.admission import Arrival, ContractSet, Decision, Reason
from triptych.ingestion.domain.answer import Answer, Claim, KeyedRequest
from triptych.ingestion.domain.outcome import Outcome


class Store(Protocol):
    """Keeps events and rejections. Thread-safe."""

    def save(self, decisions: Sequence[Decision], at: datetime) -> list[Outcome]:
        """Store what was admitted, all of it in one transaction, and keep what was refused.

        An event is stored once, whatever is handed in again. When this returns, everything is
        on disk; when it raises, some of it may be, and can be handed in again. What the database itself refuses
        becomes a rejection, and does not keep its neighbours from being stored.

        Returns:
            What became of each, in their order.

        Raises:
            TriptychError: of kind UNAVAILABLE, when the store is away.
        """
        ...


class ContractSource(Protocol):
    """Knows the contracts that are in force."""

    def current(self) -> ContractSet:
        """All of them; cheap enough to ask for each batch."""
        ...


class EventFinder(Protocol):
    """Finds events that were accepted."""

    def event(self, source: str, id_: str) -> Event | None:
        """The event of this name."""
        ...


@dataclass(frozen=True, slots=True)
class KeptRejection:
    """A rejection, as it is kept: the same thing that comes again is one that counts."""

    id: int
    arrival: Arrival
    reason: Reason
    violations: tuple[Violation, ...]
    source: str | None
    event_id: str | None
    type: str | None
    contract: str | None
    first_at: datetime
    last_at: datetime
    times: int
    replayed_at: datetime | None
    """When it became an event after all."""


@dataclass(frozen=True, slots=True)
class RejectionFilter:
    """Which rejections are meant; what is `None` does not matter."""

    type: str | None = None
    reason: Reason | None = None
    since: datetime | None = None
    """Those that last came at or after this moment."""
    until: datetime | None = None
    """Those that last came before this moment."""
    open: bool | None = None
    """Whether they still wait: those that were not replayed."""


class Rejections(Protocol):
    """Knows what was refused. Thread-safe."""

    def list(self, wanted: RejectionFilter, before: int | None, limit: int) -> list[KeptRejection]:
        """At most `limit` of them with ids below `before`, the newest first."""
        ...

    def get(self, id_: int) -> KeptRejection | None:
        """The one with this id."""
        ...

    def replayed(self, ids: Sequence[int], at: datetime) -> None:
        """Remember that these became events."""
        ...


class Answers(Protocol):
    """Remembers which answer a request got, by its idempotency key. Thread-safe."""

    def claim(self, request: KeyedRequest, at: datetime) -> Claim | Answer:
        """Take the key for this request, or say what became of the request that has it."""
        ...

    def keep(self, request: KeyedRequest, answer: Answer, until: datetime) -> None:
        """Remember the answer; the key is free again after `until`."""
        ...

    def release(self, request: KeyedRequest) -> None:
        """Free the key: its request got no answer that should be repeated."""
        ...
