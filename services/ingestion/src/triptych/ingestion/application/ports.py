"""What the use cases need from the world."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from triptych.ingestion.domain.admission import ContractSet, Decision
from triptych.ingestion.domain.outcome import Outcome


class Store(Protocol):
    """Keeps events and rejections. Thread-safe."""

    def save(self, decisions: Sequence[Decision], at: datetime) -> list[Outcome]:
        """Store what was admitted and keep what was refused, in one transaction.

        An event is stored once, whatever is handed in again. When this returns, everything is
        on disk; when it raises, nothing of it is stored.

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
