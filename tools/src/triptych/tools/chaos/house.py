"""Ingestion over a store, to be broken: it can be killed, and started again."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx2
import orjson

from triptych.testing.builders import event_json
from triptych.testing.processes import Service, running
from triptych.tools.stores import Store

STRUCTURED: Final = {"Content-Type": "application/cloudevents+json"}
BATCH: Final = {"Content-Type": "application/cloudevents-batch+json"}
CLIENT_SECONDS: Final = 15.0
"""A request is answered by then: in ten seconds by itself, and some for a busy machine."""

_TYPE: Final = "chaos.anything"


def event(source: str, id_: str, data: object = None) -> dict[str, object]:
    """An event of a type whose contract allows any data."""
    return event_json(type=_TYPE, source=source, id=id_, data=data or {"n": 1})


class House:
    """The service, as long as the block lasts. What it stores survives its being killed."""

    def __init__(self, store: Store, **settings: str) -> None:
        self.store = store
        self.kills = 0
        self._settings = settings
        self._folder = ExitStack()
        self._process = ExitStack()
        self._service: Service | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            contracts = stack.enter_context(tempfile.TemporaryDirectory(prefix="triptych-"))
            Path(contracts, f"{_TYPE}.v1.json").write_bytes(orjson.dumps(_CONTRACT))
            self._settings |= {
                "TRIPTYCH_EVENTLOG_URL": self.store.url,
                "TRIPTYCH_CONTRACTS_DIR": contracts,
            }
            self.store.migrate()
            self._start()
            self._folder = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.close()
        self._folder.close()

    @property
    def service(self) -> Service:
        """The process that runs now, or ran last."""
        assert self._service is not None  # noqa: S101  # the block has begun
        return self._service

    @property
    def url(self) -> str:
        """Where it listens; another place each time that it starts."""
        return self.service.url

    @property
    def pid(self) -> int:
        """Its process."""
        return self.service.process.pid

    def kill(self) -> None:
        """End it with SIGKILL, and start it again."""
        self.service.process.kill()
        self._process.close()
        self.kills += 1
        self._start()

    def post(self, content: bytes, headers: dict[str, str]) -> httpx2.Response:
        """Send a body to where events are taken in."""
        return httpx2.post(
            f"{self.url}/v1/events", content=content, headers=headers, timeout=CLIENT_SECONDS
        )

    def post_event(self, source: str, id_: str, data: object = None) -> httpx2.Response:
        """Send one event."""
        return self.post(orjson.dumps(event(source, id_, data)), STRUCTURED)

    def status(self, path: str) -> int:
        """What a path answers; 0 when it does not."""
        try:
            return httpx2.get(f"{self.url}{path}", timeout=CLIENT_SECONDS).status_code
        except httpx2.TransportError:
            return 0

    def _start(self) -> None:
        self._service = self._process.enter_context(running("ingestion", self._settings))


_CONTRACT: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": f"urn:triptych:{_TYPE}:1",
    "title": "Anything",
    "description": "What clients send that mean no good.",
}
