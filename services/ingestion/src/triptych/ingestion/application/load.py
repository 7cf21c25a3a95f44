"""Load files of records, batch by batch, and go on where a load stopped."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final, Protocol, TypeAlias

from triptych.core.domain.clock import Clock
from triptych.core.domain.json import Violation
from triptych.core.domain.result import Err
from triptych.core.errors import TriptychError
from triptych.ingestion.application.ports import Store
from triptych.ingestion.domain.admission import Arrival, Candidate, Decision, EventLimits
from triptych.ingestion.domain.outcome import Outcome, Status, count

BATCH: Final = 1000
"""Records a transaction: larger ones gain nothing, and hold the store's lock for longer."""


@dataclass(frozen=True, slots=True)
class Record:
    """A piece of a file that may be an event; not parsed yet."""

    arrival: Arrival
    wrong: Violation | None = None
    """Why it is none, if that is known already."""

    def candidate(self, limits: EventLimits) -> Candidate:
        """What it holds."""
        if self.wrong is not None:
            return Candidate(self.arrival, Err(self.wrong))
        return Candidate.parse(self.arrival, limits)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a file was loaded: so many records, whose bytes have this SHA-256."""

    records: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some records of a file, and how far it is loaded when they are."""

    records: tuple[Record, ...]
    mark: Mark


Decide: TypeAlias = Callable[[Iterable[Chunk]], Iterator[tuple[Chunk, list[Decision]]]]
"""Decides about chunks, in their order; perhaps in other processes, ahead of who takes them."""


class Marks(Protocol):
    """Remembers how far files were loaded."""

    def get(self, name: str) -> Mark | None:
        """How far this one was."""
        ...

    def put(self, name: str, mark: Mark, at: datetime) -> None:
        """Remember that it is this far now."""
        ...


@dataclass
class Summary:
    """What became of a file: `read` is the sum of `outcomes`, and of what was skipped."""

    read: int = 0
    skipped: int = 0
    """Records that a load before this one had done."""
    outcomes: Counter[Status] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    """How many were refused for each set of reasons."""

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Count a batch."""
        found = list(outcomes)
        self.read += len(found)
        self.outcomes.update(count(found))
        self.refusals.update(_reasons(outcome) for outcome in found if outcome.refused)

    @property
    def refused(self) -> int:
        """How many were not stored."""
        return self.outcomes[Status.CONFLICT] + self.outcomes[Status.REJECTED]


Report: TypeAlias = Callable[[Summary], None]
Refused: TypeAlias = Callable[[Arrival, Outcome], None]


@dataclass(frozen=True, slots=True)
class Load:
    """Load a file of records."""

    store: Store
    marks: Marks | None
    """Without them a load neither goes on where another stopped, nor lets one go on after it."""
    clock: Clock
    restart: bool = False
    """Begin again, whatever was done before."""

    def __call__(
        self,
        name: str,
        open_records: Callable[[], Iterator[Record]],
        decide: Decide,
        report: Report,
        refused: Refused,
    ) -> Summary:
        """Take all records in, and report after each batch. What is stored stays stored.

        Whatever was done before is read again, and skipped if its bytes are the same; so a file
        that was changed is loaded from its beginning.
        """
        summary = Summary()
        mark = self.marks.get(name) if self.marks and not self.restart else None
        records, digest = open_records(), hashlib.sha256()
        if mark is not None:
            for record in islice(records, mark.records):
                digest.update(record.arrival.raw)
                summary.skipped += 1
            if (summary.skipped, digest.digest()) != (mark.records, mark.digest):
                summary = Summary()
                records, digest = open_records(), hashlib.sha256()
        summary.read = summary.skipped
        for chunk, decisions in decide(_chunks(records, digest, summary.skipped)):
            outcomes = self.store.save(decisions, self.clock.now())
            if self.marks:
                self.marks.put(name, chunk.mark, self.clock.now())
            for record, outcome in zip(chunk.records, outcomes, strict=True):
                if outcome.refused:
                    refused(record.arrival, outcome)
            summary.add(outcomes)
            report(summary)
        return summary


def _chunks(records: Iterator[Record], digest: "hashlib._Hash", done: int) -> Iterator[Chunk]:
    """The records in chunks, also those that were read before the rest could not be."""
    found: list[Record] = []
    broken: TriptychError | None = None
    while broken is None:
        try:
            for record in islice(records, BATCH):
                digest.update(record.arrival.raw)
                found.append(record)
        except TriptychError as error:
            broken = error
        if not found:
            break
        done += len(found)
        yield Chunk(tuple(found), Mark(done, digest.digest()))
        found = []
    if broken is not None:
        raise broken


def _reasons(outcome: Outcome) -> str:
    rules = dict.fromkeys(
        f"{violation.pointer} {violation.keyword}".strip() for violation in outcome.violations
    )
    return f"{outcome.contract or outcome.reason}: {', '.join(rules)}"
