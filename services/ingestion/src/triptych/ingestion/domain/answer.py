"""Answer a request that is sent again as it was answered first.

After the IETF draft "The Idempotency-Key HTTP Header Field"
(draft-ietf-httpapi-idempotency-key-header).
"""

from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request that its sender can send again without asking for something else."""

    key: bytes
    """A SHA-256 of the sender and the idempotency key: nobody uses up somebody else's keys."""
    digest: bytes
    """A SHA-256 of what is asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered."""

    status: int
    body: bytes


class Claim(Enum):
    """What became of the wish to answer a request."""

    TAKEN = auto()
    """The key is this request's now."""
    IN_FLIGHT = auto()
    """The same request is being answered right now."""
    OTHER_REQUEST = auto()
    """The key belongs to a request that asked for something else."""
