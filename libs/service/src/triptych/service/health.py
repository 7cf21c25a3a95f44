"""Is the process alive, and can it do its work?"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from triptych.core.errors import TriptychError
from triptych.core.logging import get_logger

log = get_logger(__name__)

Probe: TypeAlias = Callable[[], object]
"""Touches one dependency; raises when it is away. It may block."""

Note: TypeAlias = Callable[[], str | None]
"""Says what somebody should know of a part that works less well than it could, or None. It must
not block."""

PROBE_SECONDS: Final = 2.0


@dataclass
class Health:
    """The state of a service: it is ready when every probe passes and it is not draining."""

    probes: Mapping[str, Probe] = field(default_factory=dict)
    notes: Mapping[str, Note] = field(default_factory=dict)
    draining: bool = False
    _running: dict[str, "asyncio.Future[object]"] = field(default_factory=dict)

    async def failures(self) -> dict[str, str]:
        """What is away, by the probe's name, and why."""
        names = list(self.probes)
        found = await asyncio.gather(*(self._failure(name) for name in names))
        return {name: why for name, why in zip(names, found, strict=True) if why}

    def told(self) -> dict[str, str]:
        """What there is to know, by the note's name; it does not make the service unready."""
        told = {name: self._note(name) for name in self.notes}
        return {name: text for name, text in told.items() if text}

    def _note(self, name: str) -> str | None:
        try:
            return self.notes[name]()
        except Exception as error:  # a note is no reason to fail
            log.warning("note.failed", note=name, exc_info=error)
            return type(error).__name__

    async def _failure(self, name: str) -> str | None:
        try:
            await asyncio.wait_for(asyncio.shield(self._run(name)), PROBE_SECONDS)
        except TimeoutError:
            return f"no answer within {PROBE_SECONDS:g} s"
        except TriptychError as error:
            return error.sentence
        except Exception as error:  # whatever a dependency throws, it is away
            log.warning("probe.failed", probe=name, exc_info=error)
            return type(error).__name__
        return None

    def _run(self, name: str) -> "asyncio.Future[object]":
        """The run of a probe: the one that still hangs, if there is one, so that none pile up."""
        running = self._running.get(name)
        if running is None or running.done():
            running = asyncio.ensure_future(run_in_threadpool(self.probes[name]))
            # Whoever asked may be gone when it fails: nobody has to be told then.
            running.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            self._running[name] = running
        return running


def health_routes(health: Health) -> APIRouter:
    """`/livez` and `/readyz`."""
    router = APIRouter(tags=["health"])

    @router.get("/livez", summary="Is the process alive?")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @router.get(
        "/readyz",
        summary="Can the service do its work?",
        responses={503: {"description": "A dependency is away, or the service is stopping."}},
    )
    async def readyz() -> JSONResponse:
        failures = {} if health.draining else await health.failures()
        status = "draining" if health.draining else "failing" if failures else "ready"
        body = {"status": status, "failures": failures, "notes": health.told()}
        return JSONResponse(body, 200 if status == "ready" else 503)

    return router
