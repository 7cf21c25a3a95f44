"""What a request's events are answered: one outcome for each."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import orjson
from pydantic import BaseModel, Field

from triptych.ingestion.domain.admission import Reason
from triptych.ingestion.domain.answer import Answer
from triptych.ingestion.domain.outcome import Outcome, Status


class ViolationBody(BaseModel):
    """One rule that an event breaks."""

    pointer: str = Field(description="Where in the event: a JSON pointer.", examples=["/data/qty"])
    keyword: str = Field(examples=["minimum"])
    message: str = Field(examples=["0 is less than the minimum of 1"])


class OutcomeBody(BaseModel):
    """What became of one event."""

    index: int = Field(description="Its place in the request, from 0.")
    status: Status
    source: str | None
    id: str | None
    reason: Reason | None = None
    contract: str | None = Field(
        default=None,
        description="Which contract it followed, or broke with its violations.",
        examples=["shop.invoice/1"],
    )
    violations: list[ViolationBody] = []


class Receipt(BaseModel):
    """What became of a request's events, in their order."""

    accepted: int
    duplicate: int
    conflict: int
    rejected: int
    outcomes: list[OutcomeBody] = Field(
        description="With `Prefer: return=minimal` only those of refused events."
    )


@dataclass(slots=True)
class ReceiptWriter:
    """Writes a receipt while outcomes come in; keeps them as the bytes that are sent."""

    minimal: bool = False
    """Whether to tell only of what was refused (RFC 7240, 4.2)."""
    counts: dict[Status, int] = field(default_factory=lambda: dict.fromkeys(Status, 0))
    _index: int = 0
    _told: list[bytes] = field(default_factory=list)

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Tell of these, too."""
        for outcome in outcomes:
            self.counts[outcome.status] += 1
            if outcome.refused or not self.minimal:
                self._told.append(orjson.dumps(outcome_body(outcome, self._index)))
            self._index += 1

    @property
    def events(self) -> int:
        """How many outcomes there were."""
        return self._index

    def answer(self) -> Answer:
        """The whole receipt: 200 when nothing was refused, 207 when some was, 422 when all was."""
        body = _RECEIPT % (*self.counts.values(), b",".join(self._told))
        return Answer(self._status(), body)

    def _status(self) -> HTTPStatus:
        refused = self.counts[Status.CONFLICT] + self.counts[Status.REJECTED]
        if not refused:
            return HTTPStatus.OK
        all_were = refused == self._index
        return HTTPStatus.UNPROCESSABLE_ENTITY if all_were else HTTPStatus.MULTI_STATUS


_RECEIPT: Final = b"{%b}" % b",".join(
    [*(b'"%b":%%d' % status.value.encode() for status in Status), b'"outcomes":[%b]']
)


def outcome_body(outcome: Outcome, index: int) -> dict[str, object]:
    """An outcome as `OutcomeBody` describes it, without the cost of making one."""
    return {
        "index": index,
        "status": outcome.status.value,
        "source": outcome.source,
        "id": outcome.id,
        "reason": outcome.reason,
        "contract": outcome.contract,
        "violations": [
            {"pointer": v.pointer, "keyword": v.keyword, "message": v.message}
            for v in outcome.violations
        ],
    }
