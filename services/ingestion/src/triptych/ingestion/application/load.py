"""Load a file of candidates, batch by batch."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from triptych.ingestion.application.ingest import Ingest
from triptych.ingestion.domain.admission import Candidate
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

    ingest: Ingest

    def __call__(
        self, candidates: Iterable[Candidate], progress: Callable[[Summary], None]
    ) -> Summary:
        """Take all candidates in, and report after each batch. What is stored stays stored."""
        summary = Summary()
        remaining = iter(candidates)
        while batch := list(islice(remaining, BATCH)):
            summary.add(self.ingest(batch))
            progress(summary)
        return summary


def _reasons(outcome: Outcome) -> str:
    rules = dict.fromkeys(
        f"{violation.pointer} {violation.keyword}".strip() for violation in outcome.violations
    )
    return f"{outcome.contract or outcome.reason}: {', '.join(rules)}"
