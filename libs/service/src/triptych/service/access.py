"""Let in who has a key for it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import Request
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from triptych.core.domain.clock import Clock
from triptych.core.errors import Kind, TriptychError
from triptych.core.logging import get_logger, tag
from triptych.service.keys import ApiKey, KeyStore, Scope, authenticate, claimed_id

log = get_logger(__name__)

REFRESH_SECONDS: Final = 5.0
"""A revoked key does not work any more after so long."""
UNKNOWN_EVERY: Final = timedelta(seconds=1)
"""So often, at most, a key that is not known makes the ring look whether it is new."""
TRUSTED_FOR: Final = timedelta(minutes=1)
"""How long keys are believed while their store is away."""
USED_EVERY: Final = timedelta(minutes=1)
STOP_SECONDS: Final = 1.0
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class NoKey(TriptychError):
    """A key is needed, and this is none."""

    kind = Kind.UNAUTHENTICATED
    hint = "Send a valid key: Authorization: Bearer KEY. The operator makes them."
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}  # RFC 6750, 3; read only


class NotAllowed(TriptychError):
    """The key is not for this."""

    kind = Kind.FORBIDDEN
    hint = "Use a key that has this scope."
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}


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

    def __init__(
        self, store: KeyStore, clock: Clock, refresh_seconds: float = REFRESH_SECONDS
    ) -> None:
        self._store = store
        self._clock = clock
        self._refresh_seconds = refresh_seconds
        self._keys: Mapping[str, ApiKey] = {}
        self.required = True
        """Whether a key is needed: unless it is known that none was ever made."""
        self._looking = threading.Lock()
        self._looked_at = self._loaded_at = _NEVER
        self._used: dict[str, datetime] = {}
        self._told_at = clock.now()

    def refresh(self) -> None:
        """Look at the store.

        Raises:
            TriptychError: it is away; the keys that are known stay.
        """
        with self._looking:  # what is seen first must not replace what is seen later
            moment = self._looked_at = self._clock.now()
            keys = {key.id: key for key in self._store.all()}
            self.required = bool(keys) or (self.required and self._loaded_at != _NEVER)
            self._keys, self._loaded_at = keys, moment

    def may_be_new(self, text: str | None) -> bool:
        """Whether this looks like a key that is not known, and it is time to look again.

        Who is told so has to `refresh`: nobody else is told for a while.
        """
        id_ = claimed_id(text or "")
        now = self._clock.now()
        # While the store hangs there is a look that goes on: threads must not pile up behind it.
        waiting = self._looking.locked() or now - self._looked_at < UNKNOWN_EVERY
        if id_ is None or id_ in self._keys or waiting:
            return False
        self._looked_at = now
        return True

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
        """Who has this key; its id stands on the lines of the log from here on.

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
        tag(caller=key.id)
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
            thread.join(STOP_SECONDS)
            if not thread.is_alive():  # else the store hangs, and would keep us, too
                self._try(self.tell_uses)

    def try_refresh(self) -> None:
        """Look at the store, if it is there."""
        self._try(self.refresh)

    def _keep_fresh(self, ended: threading.Event) -> None:
        while not ended.wait(self._refresh_seconds):
            self.try_refresh()
            if self._clock.now() - self._told_at >= USED_EVERY:
                self._try(self.tell_uses)

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except TriptychError as error:
            log.warning("keys.store_away", error=str(error))
        except Exception:  # whatever it is: it must not end the thread, and with it all access
            log.exception("keys.store_failed")


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
        if not self._ring.required:
            return Caller()
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        key = text.strip() if scheme.lower() == "bearer" else None
        try:
            return self._ring.caller(key, self._scope)
        except NoKey:
            if not self._ring.may_be_new(key):
                raise
        await run_in_threadpool(self._ring.try_refresh)
        return self._ring.caller(key, self._scope)


def require(ring: KeyRing, scope: Scope) -> Requirement:
    """What a route depends on: `Annotated[Caller, Depends(require(ring, Scope.READ))]`."""
    return Requirement(ring, scope)
