"""A store that forgets everything when the process ends: for trying things out, and for tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from triptych.core.domain.event import Document
from triptych.core.domain.result import Err, Ok
from triptych.ingestion.domain.admission import Admitted, Decision, Rejection, conflict
from triptych.ingestion.domain.outcome import Outcome, Status, refused, stored


@dataclass
class MemoryStore:
    """Keeps events and rejections in lists. For one thread."""

    events: dict[tuple[str, str], Document] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)

    def save(self, decisions: Sequence[Decision], at: datetime) -> list[Outcome]:
        """See `Store.save`; nothing is on disk, though."""
        return [self._save(decision) for decision in decisions]

    def _save(self, decision: Decision) -> Outcome:
        match decision:
            case Err(rejection):
                return self._keep(rejection)
            case Ok(admitted):
                return self._append(admitted)

    def _append(self, admitted: Admitted) -> Outcome:
        document = admitted.document
        name = (document.source, document.id)
        known = self.events.get(name)
        if known is None:
            self.events[name] = document
            return stored(admitted, Status.ACCEPTED)
        if known.fingerprint == document.fingerprint:
            return stored(admitted, Status.DUPLICATE)
        return self._keep(conflict(admitted))

    def _keep(self, rejection: Rejection) -> Outcome:
        self.rejections.append(rejection)
        return refused(rejection)


class Nowhere:
    """A store that keeps nothing: it says what would be stored, or is already."""

    def save(self, decisions: Sequence[Decision], at: datetime) -> list[Outcome]:
        """See `Store.save`; whatever is admitted is said to be accepted."""
        return [
            (
                refused(decision.error)
                if isinstance(decision, Err)
                else stored(decision.value, Status.ACCEPTED)
            )
            for decision in decisions
        ]
