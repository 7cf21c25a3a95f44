"""Take candidates in: decide about each, store them together."""

from collections.abc import Sequence
from dataclasses import dataclass

from triptych.core.domain.clock import Clock
from triptych.ingestion.application.ports import ContractSource, Store
from triptych.ingestion.domain.admission import Candidate, admit
from triptych.ingestion.domain.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Ingest:
    """Take candidates in. Thread-safe."""

    contracts: ContractSource
    store: Store
    clock: Clock

    def __call__(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """What became of each candidate, in their order; all of it is on disk.

        Raises:
            TriptychError: of kind UNAVAILABLE, when the store is away; then nothing is stored.
        """
        contracts = self.contracts.current()
        decisions = [admit(candidate, contracts) for candidate in candidates]
        return self.store.save(decisions, self.clock.now())
