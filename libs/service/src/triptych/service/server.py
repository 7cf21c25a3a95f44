"""Run an application: listen, announce it, and stop without losing a request."""

import asyncio
import contextvars
import errno
import gc
import ipaddress
import os
import signal
import socket
import threading
import time
from collections.abc import Mapping
from importlib.util import find_spec
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from triptych.core.errors import FAILURE, Kind, TriptychError
from triptych.core.logging import get_logger
from triptych.service.health import Health
from triptych.service.protocol import guarded
from triptych.service.settings import HttpSettings

log = get_logger(__name__)

KEEP_ALIVE_SECONDS = 5
GARBAGE_THRESHOLD: Final = 20_000  # objects; 700 is Python's own
GRACE_SECONDS: Final = 3.0
"""How long the process may take to end after its requests have, or should have."""


class CannotListen(TriptychError):
    """The service cannot listen on its address."""

    kind = Kind.FAILED


class OpenToTheNetwork(TriptychError):
    """Without API keys a service listens on loopback only."""

    kind = Kind.INVALID


def serve(app: FastAPI, settings: HttpSettings, *, section: str, keys: bool = False) -> None:
    """Serve `app` until SIGTERM or SIGINT; then drain and return.

    `section` names the service's settings, so that an error can say which variable to change. The
    signal also sets a deadline: when the process has not ended by then, it is ended with 1.

    Raises:
        CannotListen: the address is taken or forbidden.
        OpenToTheNetwork: the address is not loopback.
    """
    listener = listen(settings, section=section, keys=keys)
    host, port = listener.getsockname()[:2]
    config = uvicorn.Config(
        app,
        http=guarded(settings),
        loop="uvloop" if find_spec("uvloop") else "asyncio",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    server = _Server(config, app.state.health, settings, {"url": url, "service": section})
    _settle_garbage()
    server.run(sockets=[listener])
    log.info("http.stopped", service=section)


def _settle_garbage() -> None:
    """Keep the collector of cycles off what lives as long as the service, and from coming often.

    With its usual thresholds it walks through all modules again and again while requests are under
    way, which was a sixth of all time. Requests make next to no cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 50)


def listen(settings: HttpSettings, *, section: str, keys: bool = False) -> socket.socket:
    """A socket that is bound to the settings' address and listens.

    `keys` says that nobody gets in without a key: without them it has to be loopback.

    Raises:
        CannotListen: the address is taken or forbidden.
        OpenToTheNetwork: the address is not loopback.
    """
    where = f"{settings.host}:{settings.port}"
    prefix = f"TRIPTYCH_{section.upper()}__"
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise CannotListen(f"{where}: {error}", hint=f"Set {prefix}HOST.") from None
    if not keys and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        hint = f"Make a key first: {section} keys create. Or listen on 127.0.0.1."
        raise OpenToTheNetwork(f"{prefix}HOST is {settings.host!r}", hint=hint)
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        hint = f"Stop what listens there, or set {prefix}PORT to another port (0 takes a free one)."
        if error.errno != errno.EADDRINUSE:
            hint = f"Set {prefix}HOST or {prefix}PORT to an address that this user may listen on."
        reason = os.strerror(error.errno or 0)
        raise CannotListen(f"{where}: {reason}", hint=hint) from None
    return listener


class _Deadline(threading.Thread):
    """Ends the process, some time after `begin`, if it is still there.

    A thread that blocks for ever would keep it, and no other thread can end that one.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(name="deadline", daemon=True)
        self._seconds = seconds
        self.begin = threading.Event()

    def run(self) -> None:
        self.begin.wait()
        time.sleep(self._seconds)
        log.critical("http.deadline_missed", seconds=self._seconds)
        os._exit(FAILURE)


class _Server(uvicorn.Server):
    """uvicorn, which says that it is draining before it stops, and exits with 0 after a signal."""

    def __init__(
        self,
        config: uvicorn.Config,
        health: Health,
        settings: HttpSettings,
        announcement: Mapping[str, str],
    ) -> None:
        super().__init__(config)
        self._health = health
        self._drain_seconds = settings.drain_seconds
        self._deadline = _Deadline(
            settings.drain_seconds + settings.shutdown_seconds + GRACE_SECONDS
        )
        self._announcement = announcement
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline.start()
        await super().startup(sockets)
        # Not before signals are handled: who reads this line may send one at once.
        log.info("http.listening", **self._announcement)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._deadline.begin.set()
        # The base class would raise the signal again at the end, and so not exit with 0.
        if self._health.draining or self._loop is None:
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True
            return
        self._health.draining = True
        # A context of its own: the signal may have interrupted any request.
        self._loop.call_soon_threadsafe(self._drain, context=contextvars.Context())

    def _drain(self) -> None:
        log.info("http.draining", seconds=self._drain_seconds)
        asyncio.get_running_loop().call_later(self._drain_seconds, self._stop)

    def _stop(self) -> None:
        self.should_exit = True
