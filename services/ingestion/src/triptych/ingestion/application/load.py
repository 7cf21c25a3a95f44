"""Load a file of candidates, batch by batch."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from triptych.core.domain.clock import Clock
from triptych.core.errors import TriptychError
from triptych.ingestion.application.ports import ContractSource, Store
from triptych.ingestion.domain.admission import Candidate, Door
from triptych.ingestion.domain.outcome import Outcome, Status, count

BATCH: Final = 1000
"""Candidates a transaction: larger ones gain nothing, and hold the store's lock for longer."""


@dataclass
class Summary:
    """What became of a file: `read` is the sum of `outcomes`."""

    read: int = 0
    outcomes: Counter[Status] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    """How many were refused for each set of reasons."""

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Count a batch."""
        found = list(outcomes)
        self.read += len(found)
        self.outcomes.update(count(found))
        self.refusals.update(_reasons(outcome) for outcome in found if outcome.refused)


@dataclass(frozen=True, slots=True)
class Load:
    """Load a file of candidates."""

    contracts: ContractSource
    store: Store
    clock: Clock

    def __call__(
        self, candidates: Iterable[Candidate], progress: Callable[[Summary], None]
    ) -> Summary:
        """Take all candidates in, and report after each batch. What is stored stays stored."""
        summary = Summary()
        for batch in _batches(candidates):
            door = Door(self.contracts.current())
            decisions = [door.admit(candidate) for candidate in batch]
            summary.add(self.store.save(decisions, self.clock.now()))
            progress(summary)
        return summary


def _batches(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    """The candidates in batches, also those that were read before the rest could not be."""
    batch: list[Candidate] = []
    try:
        for candidate in candidates:
            batch.append(candidate)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except TriptychError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _reasons(outcome: Outcome) -> str:
    rules = dict.fromkeys(
        f"{violation.pointer} {violation.keyword}".strip() for violation in outcome.violations
    )
    return f"{outcome.contract or outcome.reason}: {', '.join(rules)}"
