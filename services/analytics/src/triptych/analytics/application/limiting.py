"""Charge clients for what they ask."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Final, Protocol

from triptych.analytics.domain.limits import Policy, Verdict, decide
from triptych.core.errors import Kind, TriptychError

MAX_CLIENTS: Final = 100_000


class TooMuch(TriptychError):
    """This client has asked for more than it may."""

    kind = Kind.LIMITED
    hint = "Wait as long as Retry-After says; GET /v1/usage tells where you stand."

    def __init__(self, message: str, headers: dict[str, str]) -> None:
        super().__init__(message)
        self.headers = headers


class LimitsUnknown(TriptychError):
    """What clients have used cannot be looked up now."""

    kind = Kind.UNAVAILABLE
    hint = "Try it again; or let TRIPTYCH_LIMIT__WHEN_AWAY be local."


class WhenAway(StrEnum):
    """What happens to limits while Redis is away."""

    LOCAL = auto()
    """Each replica counts for itself."""
    REFUSE = auto()
    """Nobody gets anything."""
    ALLOW = auto()
    """Everybody gets everything."""


class Limiter(Protocol):
    """Knows what clients have used. For one event loop, or thread-safe."""

    async def charge(self, client: str, cost: int) -> Verdict:
        """Whether a client may have what costs so much; if so, it is charged. A cost of nothing
        asks where it stands."""
        ...


@dataclass
class LocalLimiter:
    """Limits within this process. The clients that were away longest are forgotten first."""

    policies: Sequence[Policy]
    clock: Callable[[], float] = time.monotonic
    """Seconds of a clock that nobody sets."""
    _used: OrderedDict[str, dict[str, dict[int, int]]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def charge(self, client: str, cost: int) -> Verdict:
        """See `Limiter.charge`."""
        return self.charge_now(client, cost)

    def charge_now(self, client: str, cost: int) -> Verdict:
        """The same, for who cannot wait."""
        with self._lock:
            verdict, used = decide(self.policies, self._used.get(client, {}), cost, self.clock())
            if cost:
                self._used[client] = used
                self._used.move_to_end(client)
                if len(self._used) > MAX_CLIENTS:
                    self._used.popitem(last=False)
        return verdict
