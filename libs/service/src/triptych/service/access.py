"""Let in who has a key for it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import Request
from fastapi.security import HTTPBearer

from triptych.core.domain.clock import Clock
from triptych.core.errors import Kind, TriptychError
from triptych.core.logging import get_logger
from triptych.service.keys import ApiKey, KeyStore, Scope, authenticate

log = get_logger(__name__)

REFRESH_SECONDS: Final = 5.0
"""A new key works, and a revoked one does not any more, after so long."""
TRUSTED_FOR: Final = timedelta(minutes=1)
"""How long keys are believed while their store is away."""
USED_EVERY: Final = timedelta(minutes=1)


class NoKey(TriptychError):
    """A key is needed, and this is none."""

    kind = Kind.UNAUTHENTICATED
    hint = "Send a valid key: Authorization: Bearer KEY. The operator makes them."
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}  # RFC 6750, 3; read only


class NotAllowed(TriptychError):
    """The key is not for this."""

    kind = Kind.FORBIDDEN
    hint = "Use a key that has this scope."


class KeysUnknown(TriptychError):
    """Keys cannot be looked up now."""

    kind = Kind.UNAVAILABLE
    hint = "Their store has been away for a while. Try it again."


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks; nobody in particular, who may do everything, while there are no keys."""

    key: ApiKey | None = None

    @property
    def name(self) -> str:
        """By which it is told from other callers."""
        return self.key.id if self.key else ""

    def may_send(self, event_type: str) -> bool:
        """Whether it may send events of a type."""
        return self.key is None or self.key.may_send(event_type)


class KeyRing:
    """All keys, in memory: nobody waits for their store. Thread-safe."""

    def __init__(self, store: KeyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._keys: Mapping[str, ApiKey] = {}
        self.required = False
        """Whether a key is needed: from the moment that one was ever made."""
        self._loaded_at = datetime.min.replace(tzinfo=UTC)
        self._used: dict[str, datetime] = {}
        self._told_at = clock.now()

    def refresh(self) -> None:
        """Look at the store.

        Raises:
            TriptychError: it is away; the keys that are known stay.
        """
        self._keys = {key.id: key for key in self._store.all()}
        self.required = self.required or bool(self._keys)
        self._loaded_at = self._clock.now()

    def tell_uses(self) -> None:
        """Write down which keys were used since it was done last.

        Raises:
            TriptychError: the store is away; it is told the next time.
        """
        used = dict(self._used)
        if used:
            self._store.used(used)
        for id_, moment in used.items():
            if self._used.get(id_) == moment:
                del self._used[id_]
        self._told_at = self._clock.now()

    def caller(self, text: str | None, scope: Scope) -> Caller:
        """Who has this key.

        Raises:
            NoKey: nobody; it does not say why.
            NotAllowed: somebody who may not do this.
            KeysUnknown: the store has been away for too long.
        """
        if not self.required:
            return Caller()
        now = self._clock.now()
        if now - self._loaded_at > TRUSTED_FOR:
            raise KeysUnknown
        key = authenticate(text or "", self._keys, now)
        if key is None:
            raise NoKey
        self._used[key.id] = now
        if not key.allows(scope):
            raise NotAllowed(f"{key.id} has not the scope {scope.value!r}")
        return Caller(key)

    @contextmanager
    def kept_fresh(self) -> Iterator[None]:
        """Look at the store now, and every few seconds as long as the block lasts.

        Raises:
            TriptychError: the store is away from the start.
        """
        self.refresh()
        ended = threading.Event()
        thread = threading.Thread(target=self._keep_fresh, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            self._try(self.tell_uses)

    def _keep_fresh(self, ended: threading.Event) -> None:
        while not ended.wait(REFRESH_SECONDS):
            self._try(self.refresh)
            if self._clock.now() - self._told_at >= USED_EVERY:
                self._try(self.tell_uses)

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except TriptychError as error:
            log.warning("keys.store_away", error=str(error))


class Requirement(HTTPBearer):
    """What FastAPI depends on; OpenAPI documents tell of it."""

    def __init__(self, ring: KeyRing, scope: Scope) -> None:
        super().__init__(scheme_name="ApiKey", description="A key that the operator made.")
        self._ring = ring
        self._scope = scope

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]  # who, not what
        """Who asks.

        Raises:
            NoKey, NotAllowed, KeysUnknown: as `KeyRing.caller`.
        """
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        return self._ring.caller(text.strip() if scheme.lower() == "bearer" else None, self._scope)


def require(ring: KeyRing, scope: Scope) -> Requirement:
    """What a route depends on: `Annotated[Caller, Depends(require(ring, Scope.READ))]`."""
    return Requirement(ring, scope)
