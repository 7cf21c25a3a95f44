"""Whatever is sent, mended and killed in whatever order: the service holds what a dict would."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from pydantic import SecretStr

from triptych.eventlog.log import EventLogReader
from triptych.ingestion.entrypoints.http import create_ingestion
from triptych.ingestion.settings import IngestionSettings
from triptych.ingestion.wiring import wire
from triptych.testing.builders import event_json

BATCH = {"Content-Type": "application/cloudevents-batch+json"}
STRICT = b'{"properties": {"n": {"maximum": 1}}}'

# Few names and few contents, so that they meet often; 2 breaks the contract until it is mended.
BATCHES = st.lists(
    st.tuples(st.sampled_from(["1", "2", "3"]), st.sampled_from([0, 1, 2])), max_size=5
)


class Machine(RuleBasedStateMachine):
    """A service, and what it must agree with."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = SecretStr(url)
        self.folder = TemporaryDirectory()
        self.contract = Path(self.folder.name) / "test.happened.v1.json"
        self.contract.write_bytes(STRICT)
        self.events: dict[str, int] = {}
        self.waiting: dict[tuple[str, str, int], None] = {}
        """What was refused and not replayed: reason, id and content."""
        self.strict = True
        self._start()

    def _start(self) -> None:
        folder = Path(self.folder.name)
        self.wired = wire(IngestionSettings(eventlog_url=self.url, contracts_dir=folder))
        self.service = self.wired.__enter__()
        self.client = TestClient(create_ingestion(self.service))

    @rule(batch=BATCHES)
    def send(self, batch: list[tuple[str, int]]) -> None:
        expected = [self._expect(id_, n) for id_, n in batch]
        events = [event_json(id=id_, data={"n": n}) for id_, n in batch]

        answer = self.client.post("/v1/events", content=orjson.dumps(events), headers=BATCH)

        assert [outcome["status"] for outcome in answer.json()["outcomes"]] == expected

    @rule(strict=st.booleans())
    def change_the_contract(self, strict: bool) -> None:
        self.strict = strict
        self.contract.write_bytes(STRICT if strict else b"{}")
        self.service.contracts.reload()

    @rule()
    def replay(self) -> None:
        answer = self.client.post("/v1/rejections/replay").json()

        assert len(answer["outcomes"]) == len(self.waiting)
        # The newest comes first: of two with one name it decides who that is.
        for outcome in answer["outcomes"]:
            shown = self.client.get(f"/v1/rejections/{outcome['index']}").json()
            data = orjson.loads(shown["raw"])
            key = (shown["reason"], data["id"], data["data"]["n"])
            if outcome["status"] in ("accepted", "duplicate"):
                assert self.events.setdefault(key[1], key[2]) == key[2]
                del self.waiting[key]
        self._learn_conflicts()

    @rule()
    def restart(self) -> None:
        self.wired.__exit__(None, None, None)
        self._start()

    @invariant()
    def the_log_agrees_with_the_model(self) -> None:
        reader = EventLogReader(self.service.store.engine)
        pages = reader.read(["test.happened"], after=0, until=reader.newest())
        found = [(entry.event.id, entry.event.data) for page in pages for entry in page]

        assert sorted(found) == sorted((id_, {"n": n}) for id_, n in self.events.items())

    def teardown(self) -> None:
        self.wired.__exit__(None, None, None)
        self.folder.cleanup()

    def _expect(self, id_: str, n: int) -> str:
        if self.strict and n > 1:
            self.waiting["contract", id_, n] = None
            return "rejected"
        if id_ not in self.events:
            self.events[id_] = n
            return "accepted"
        if self.events[id_] == n:
            return "duplicate"
        self.waiting["conflict", id_, n] = None
        return "conflict"

    def _learn_conflicts(self) -> None:
        """What was mended may turn out to be a conflict: it is kept as one, too."""
        page = self.client.get("/v1/rejections", params={"open": "true", "limit": 1000}).json()
        for rejection in page["rejections"]:
            data: dict[str, Any] = orjson.loads(rejection["raw"])
            self.waiting[rejection["reason"], data["id"], data["data"]["n"]] = None


def test_the_service_agrees_with_its_model(new_database: Callable[[], str]) -> None:
    class OnThisDatabase(Machine):
        def __init__(self) -> None:
            super().__init__(new_database())

    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(max_examples=settings().max_examples // 5, stateful_step_count=15),
    )


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
