"""Loading many records: in batches, with a summary that adds up, and going on where it stopped."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.core.domain.clock import FixedClock
from triptych.core.domain.contract import Contract
from triptych.ingestion.application.load import BATCH, Load, Mark, Record, Summary
from triptych.ingestion.domain.admission import USUAL, Arrival
from triptych.ingestion.domain.outcome import Outcome, Status
from triptych.ingestion.infrastructure.deciding import here
from triptych.ingestion.infrastructure.files.opening import BrokenFile
from triptych.ingestion.infrastructure.memory import MemoryStore, Nowhere
from triptych.testing.builders import NOON, event_json

CONTRACT = Contract("test.happened", 1, {"properties": {"n": {"type": "integer"}}})
DECIDE = here({"test.happened": (CONTRACT,)}, USUAL)


@dataclass
class MemoryMarks:
    """Marks in a dict."""

    marks: dict[str, Mark] = field(default_factory=dict)

    def get(self, name: str) -> Mark | None:
        return self.marks.get(name)

    def put(self, name: str, mark: Mark, at: datetime) -> None:
        self.marks[name] = mark


def ignore(_: Summary) -> None:
    """Show no progress."""


def forget(*_: object) -> None:
    """Write no rejects."""


Loads = Callable[[Iterable[Record], Callable[[Summary], None]], Summary]


def a_load(store: MemoryStore, marks: MemoryMarks | None = None) -> Loads:
    load = Load(store, marks, FixedClock(NOON))

    def run(lines: Iterable[Record], report: Callable[[Summary], None]) -> Summary:
        return load("file", lambda: iter(lines), DECIDE, report, forget)

    return run


def candidates(*events: object) -> list[Record]:
    return [
        Record(Arrival(event if isinstance(event, bytes) else orjson.dumps(event), f"file:{line}"))
        for line, event in enumerate(events, 1)
    ]


def test_what_became_of_a_file_is_counted() -> None:
    lines = candidates(
        event_json(id="1"),
        event_json(id="2"),
        event_json(id="1"),
        event_json(id="2", data={"n": 2}),
        event_json(id="3", data={"n": "three"}),
    )

    summary = a_load(MemoryStore())(lines, ignore)

    assert summary.read == 5
    assert dict(summary.outcomes) == {
        Status.ACCEPTED: 2,
        Status.DUPLICATE: 1,
        Status.CONFLICT: 1,
        Status.REJECTED: 1,
    }


def test_refusals_are_grouped_by_contract_and_rules() -> None:
    lines = candidates(
        event_json(id="1", data={"n": "one"}),
        event_json(id="2", data={"n": "two"}),
        b"{",
        event_json(type="test.other"),
    )

    summary = a_load(MemoryStore())(lines, ignore)

    assert dict(summary.refusals) == {
        "test.happened/1: /data/n type": 2,
        "malformed: json": 1,
        "unknown: /type contract": 1,
    }


def test_a_file_without_candidates_is_read_to_its_end() -> None:
    summary = a_load(MemoryStore())([], ignore)

    assert (summary.read, sum(summary.outcomes.values())) == (0, 0)


def test_progress_is_reported_after_each_batch() -> None:
    seen = []

    a_load(MemoryStore())(
        candidates(*(event_json(id=str(n)) for n in range(2 * BATCH + 1))),
        lambda summary: seen.append(summary.read),
    )

    assert seen == [BATCH, 2 * BATCH, 2 * BATCH + 1]


def test_what_was_stored_before_a_file_broke_off_stays_stored() -> None:
    store = MemoryStore()

    def broken() -> Iterator[Record]:
        yield from candidates(*(event_json(id=str(n)) for n in range(BATCH)))
        raise EOFError

    with pytest.raises(EOFError):
        a_load(store)(broken(), ignore)

    assert len(store.events) == BATCH


def test_what_was_read_before_a_file_broke_off_is_stored() -> None:
    store = MemoryStore()

    def broken() -> Iterator[Record]:
        yield from candidates(event_json(id="1"), event_json(id="2"))
        raise BrokenFile("orders.ndjson.gz")

    with pytest.raises(BrokenFile):
        a_load(store)(broken(), ignore)

    assert len(store.events) == 2


def mixed_candidates() -> st.SearchStrategy[list[Record]]:
    """Few names and few contents: so that duplicates and conflicts happen often."""
    event = st.builds(
        lambda id_, type_, n: orjson.dumps(event_json(id=id_, type=type_, data={"n": n})),
        st.sampled_from(["1", "2", "3", ""]),
        st.sampled_from(["test.happened", "test.happened", "test.other"]),
        st.sampled_from([1, 2, "two"]),
    )
    return st.lists(event | st.binary(max_size=3), max_size=30).map(lambda raw: candidates(*raw))


@given(lines=mixed_candidates())
def test_everything_that_was_read_has_one_outcome(lines: Sequence[Record]) -> None:
    store = MemoryStore()

    summary = a_load(store)(lines, ignore)

    outcomes = summary.outcomes
    refused = outcomes[Status.CONFLICT] + outcomes[Status.REJECTED]
    assert summary.read == len(lines) == sum(outcomes.values())
    assert outcomes[Status.ACCEPTED] == len(store.events)
    assert refused == len(store.rejections) == sum(summary.refusals.values())


@given(lines=mixed_candidates())
def test_a_file_that_is_loaded_again_adds_no_event(lines: Sequence[Record]) -> None:
    store = MemoryStore()
    load = a_load(store)
    first = load(lines, ignore)
    before = dict(store.events)

    again = load(lines, ignore)

    assert store.events == before
    assert again.outcomes[Status.ACCEPTED] == 0
    assert again.outcomes[Status.DUPLICATE] == (
        first.outcomes[Status.ACCEPTED] + first.outcomes[Status.DUPLICATE]
    )


def some(number: int, first: int = 0) -> list[Record]:
    """Records of valid events."""
    return candidates(*(event_json(id=str(n)) for n in range(first, first + number)))


def test_a_load_goes_on_where_another_stopped() -> None:
    store, marks = MemoryStore(), MemoryMarks()
    lines = some(2 * BATCH + 5)

    def broken() -> Iterator[Record]:
        yield from lines[: BATCH + 7]
        raise BrokenFile("file")

    with pytest.raises(BrokenFile):
        a_load(store, marks)(broken(), ignore)
    summary = a_load(store, marks)(lines, ignore)

    assert (summary.skipped, summary.read) == (BATCH + 7, len(lines))
    assert dict(summary.outcomes)[Status.ACCEPTED] == len(lines) - BATCH - 7
    assert len(store.events) == len(lines)


def test_what_is_skipped_is_not_decided_about() -> None:
    marks = MemoryMarks()
    lines = [*some(3), *candidates(b"nonsense")]
    a_load(MemoryStore(), marks)(lines, ignore)
    another = MemoryStore()

    summary = a_load(another, marks)(lines, ignore)

    assert (summary.skipped, summary.refused) == (4, 0)
    assert (another.events, another.rejections) == ({}, [])


@pytest.mark.parametrize("changed", [some(3, first=1), some(2)], ids=["other", "shorter"])
def test_a_file_that_was_changed_is_loaded_from_its_beginning(changed: list[Record]) -> None:
    store, marks = MemoryStore(), MemoryMarks()
    a_load(store, marks)(some(3), ignore)

    summary = a_load(store, marks)(changed, ignore)

    assert (summary.skipped, summary.read) == (0, len(changed))


def test_a_file_that_grew_is_loaded_from_its_old_end() -> None:
    store, marks = MemoryStore(), MemoryMarks()
    a_load(store, marks)(some(3), ignore)

    summary = a_load(store, marks)(some(5), ignore)

    assert (summary.skipped, len(store.events)) == (3, 5)


def test_a_restarted_load_begins_again() -> None:
    store, marks = MemoryStore(), MemoryMarks()
    a_load(store, marks)(some(3), ignore)
    again = replace(Load(store, marks, FixedClock(NOON)), restart=True)

    summary = again("file", lambda: iter(some(3)), DECIDE, ignore, forget)

    assert (summary.skipped, summary.outcomes[Status.DUPLICATE]) == (0, 3)


def test_a_dry_run_says_what_would_be_refused() -> None:
    refused: list[tuple[str, Outcome]] = []
    load = Load(Nowhere(), None, FixedClock(NOON))

    summary = load(
        "file",
        lambda: iter([*some(2), *candidates(b"nonsense")]),
        DECIDE,
        ignore,
        lambda arrival, outcome: refused.append((arrival.origin, outcome)),
    )

    assert (summary.outcomes[Status.ACCEPTED], summary.refused) == (2, 1)
    assert [origin for origin, _ in refused] == ["file:1"]
