"""What became of everything that was handed in."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum, auto

from triptych.core.domain.json import Violation
from triptych.ingestion.domain.admission import Admitted, Reason, Rejection


class Status(StrEnum):
    """What became of one candidate."""

    ACCEPTED = auto()
    """It is stored, on disk."""
    DUPLICATE = auto()
    """It was stored before, with the same content."""
    CONFLICT = auto()
    """Its source and id are taken by other content; it is kept among the rejections."""
    REJECTED = auto()
    """It is no event that may be stored; it is kept among the rejections."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one candidate, and why."""

    status: Status
    source: str | None
    id: str | None
    type: str | None = None
    reason: Reason | None = None
    contract: str | None = None
    violations: tuple[Violation, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether it was not stored, now or before."""
        return self.status in {Status.CONFLICT, Status.REJECTED}


def stored(admitted: Admitted, status: Status) -> Outcome:
    """The outcome of an event that is in the store."""
    document = admitted.document
    return Outcome(status, document.source, document.id, document.type, None, admitted.contract)


def refused(rejection: Rejection) -> Outcome:
    """The outcome of what is kept among the rejections."""
    status = Status.CONFLICT if rejection.reason is Reason.CONFLICT else Status.REJECTED
    return Outcome(
        status,
        rejection.source,
        rejection.id,
        rejection.type,
        rejection.reason,
        rejection.contract,
        rejection.violations,
    )


def count(outcomes: Iterable[Outcome]) -> dict[Status, int]:
    """How many there are of each status, in the order of the statuses."""
    counts = Counter(outcome.status for outcome in outcomes)
    return {status: counts[status] for status in Status}
