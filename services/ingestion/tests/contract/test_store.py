"""What every store promises, whichever it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from triptych.core.domain.event import Document, Event, event_from_json
from triptych.core.domain.json import Violation
from triptych.core.domain.result import Err, Ok
from triptych.database.engine import open_database, reading
from triptych.eventlog.log import EventLogReader
from triptych.ingestion.application.ports import Store
from triptych.ingestion.domain.admission import Admitted, Arrival, Decision, Reason, Rejection
from triptych.ingestion.domain.outcome import Status
from triptych.ingestion.infrastructure.memory import MemoryStore
from triptych.ingestion.infrastructure.store import SqlStore
from triptych.ingestion.infrastructure.tables import rejections
from triptych.testing.builders import NOON, an_event
from triptych.testing.postgres import PostgresServer

WRONG = Violation("/data/n", "type", "it is no number")


@dataclass(frozen=True)
class Subject:
    """A store, and how a test looks into it."""

    store: Store
    events: Callable[[], list[Event]]
    refused: Callable[[], list[tuple[str, bytes]]]
    """The reason and the bytes of each rejection."""

    def save(self, *decisions: Decision) -> list[Status]:
        return [outcome.status for outcome in self.store.save(decisions, NOON)]


@pytest.fixture
def memory() -> Subject:
    store = MemoryStore()
    return Subject(
        store,
        lambda: [_event(document) for document in store.events.values()],
        lambda: [(r.reason.value, r.arrival.raw) for r in store.rejections],
    )


@contextmanager
def sql(url: str) -> Iterator[Subject]:
    engine = open_database(url, create=True)
    store = SqlStore(engine)
    store.prepare()
    log = EventLogReader(engine)

    def events() -> list[Event]:
        pages = log.read(["test.happened"], after=0, until=log.newest())
        return [entry.event for page in pages for entry in page]

    def refused() -> list[tuple[str, bytes]]:
        query = sa.select(rejections.c.reason, rejections.c.raw).order_by(rejections.c.id)
        with reading(engine) as connection:
            return [(reason, raw) for reason, raw in connection.execute(query)]

    yield Subject(store, events, refused)
    engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Subject]:
    with sql(f"sqlite:///{tmp_path / 'eventlog.db'}") as subject:
        yield subject


@pytest.fixture
def postgresql(postgres_server: PostgresServer) -> Iterator[Subject]:
    with sql(postgres_server.create_database()) as subject:
        yield subject


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def subject(request: pytest.FixtureRequest) -> Subject:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Subject)
    return found


def _event(document: Document) -> Event:
    match event_from_json(orjson.loads(document.json)):
        case Ok(event):
            return event
        case Err(violations):
            pytest.fail(str(violations))


def admitted(**attributes: Any) -> Decision:
    event = an_event(**attributes)
    raw = orjson.dumps(event.to_json())
    return Ok(Admitted(event.document, Arrival(raw, "http"), "test.happened/1"))


def rejected(raw: bytes = b"{", reason: Reason = Reason.MALFORMED) -> Decision:
    return Err(Rejection(Arrival(raw, "http"), reason, (WRONG,), source="urn:test"))


def test_nothing_comes_of_nothing(subject: Subject) -> None:
    assert subject.save() == []


def test_an_event_is_stored_as_it_is(subject: Subject) -> None:
    statuses = subject.save(admitted(id="1", subject="s", data={"n": [1, None, "x"]}))

    assert statuses == [Status.ACCEPTED]
    assert subject.events() == [an_event(id="1", subject="s", data={"n": [1, None, "x"]})]


def test_outcomes_come_in_the_order_of_the_decisions(subject: Subject) -> None:
    subject.save(admitted(id="old"))

    statuses = subject.save(
        rejected(),
        admitted(id="new"),
        admitted(id="old"),
        rejected(b"["),
        admitted(id="old", data={"n": 2}),
        admitted(id="newer"),
    )

    assert statuses == [
        Status.REJECTED,
        Status.ACCEPTED,
        Status.DUPLICATE,
        Status.REJECTED,
        Status.CONFLICT,
        Status.ACCEPTED,
    ]


def test_events_are_kept_in_the_order_they_came_in(subject: Subject) -> None:
    subject.save(admitted(id="b"), admitted(id="a"))
    subject.save(admitted(id="0"))

    assert [event.id for event in subject.events()] == ["b", "a", "0"]


def test_an_event_that_comes_twice_in_one_batch_is_stored_once(subject: Subject) -> None:
    statuses = subject.save(admitted(id="1"), admitted(id="1"), admitted(id="1"))

    assert statuses == [Status.ACCEPTED, Status.DUPLICATE, Status.DUPLICATE]
    assert len(subject.events()) == 1


def test_the_very_same_decision_again_is_a_duplicate(subject: Subject) -> None:
    decision = admitted(id="1")

    statuses = subject.save(decision, decision) + subject.save(decision)

    assert statuses == [Status.ACCEPTED, Status.DUPLICATE, Status.DUPLICATE]


def test_an_event_that_comes_again_later_is_stored_once(subject: Subject) -> None:
    subject.save(admitted(id="1"))

    statuses = subject.save(admitted(id="1"))

    assert statuses == [Status.DUPLICATE]
    assert len(subject.events()) == 1


def test_one_id_of_two_sources_is_two_events(subject: Subject) -> None:
    statuses = subject.save(admitted(source="urn:a"), admitted(source="urn:b"))

    assert statuses == [Status.ACCEPTED, Status.ACCEPTED]


@pytest.mark.parametrize("batches", [1, 2], ids=["in-one-batch", "across-batches"])
def test_of_two_contents_under_one_name_the_first_stays(subject: Subject, batches: int) -> None:
    first, second = admitted(data={"n": 1}), admitted(data={"n": 2})

    if batches == 1:
        statuses = subject.save(first, second)
    else:
        statuses = subject.save(first) + subject.save(second)

    assert statuses == [Status.ACCEPTED, Status.CONFLICT]
    assert [event.data for event in subject.events()] == [{"n": 1}]


def test_a_conflict_is_kept_among_the_rejections(subject: Subject) -> None:
    subject.save(admitted(data={"n": 1}))

    [outcome] = subject.store.save([admitted(data={"n": 2})], NOON)

    raw = orjson.dumps(an_event(data={"n": 2}).to_json())
    assert subject.refused() == [("conflict", raw)]
    assert (outcome.reason, [v.pointer for v in outcome.violations]) == (Reason.CONFLICT, ["/id"])


def test_what_was_refused_is_kept_with_its_bytes_and_its_reason(subject: Subject) -> None:
    subject.save(rejected(b"\xff\x00{"), rejected(b"[]", Reason.INVALID))

    assert set(subject.refused()) == {("malformed", b"\xff\x00{"), ("invalid", b"[]")}


def test_an_outcome_tells_every_reason(subject: Subject) -> None:
    [outcome] = subject.store.save([rejected()], NOON)

    assert (outcome.source, outcome.id, outcome.violations) == ("urn:test", None, (WRONG,))


def test_a_stored_event_is_told_with_its_contract(subject: Subject) -> None:
    [outcome] = subject.store.save([admitted(id="7")], NOON + timedelta(days=1))

    assert (outcome.source, outcome.id, outcome.contract) == ("urn:test", "7", "test.happened/1")


def test_a_large_batch_is_stored_whole(subject: Subject) -> None:
    names = [str(n) for n in range(1200)]

    subject.save(*(admitted(id=name) for name in names))

    assert [event.id for event in subject.events()] == names
