"""Loading many candidates: in batches, with a summary that adds up."""

from collections.abc import Iterator, Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.core.domain.clock import FixedClock
from triptych.core.domain.contract import Contract
from triptych.ingestion.application.ingest import Ingest
from triptych.ingestion.application.load import BATCH, Load, Summary
from triptych.ingestion.domain.admission import Candidate
from triptych.ingestion.domain.outcome import Status
from triptych.ingestion.infrastructure.contracts import ContractFolder
from triptych.ingestion.infrastructure.files import BrokenFile
from triptych.ingestion.infrastructure.memory import MemoryStore
from triptych.testing.builders import NOON, event_json

CONTRACT = Contract("test.happened", 1, {"properties": {"n": {"type": "integer"}}})


def a_load(store: MemoryStore) -> Load:
    contracts = ContractFolder({"test.happened": (CONTRACT,)})
    return Load(Ingest(contracts, store, FixedClock(NOON)))


def candidates(*events: object) -> list[Candidate]:
    return [
        Candidate.parse(event if isinstance(event, bytes) else orjson.dumps(event), f"file:{line}")
        for line, event in enumerate(events, 1)
    ]


def ignore(_: Summary) -> None:
    """Show no progress."""


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

    def broken() -> Iterator[Candidate]:
        yield from candidates(*(event_json(id=str(n)) for n in range(BATCH)))
        raise EOFError

    with pytest.raises(EOFError):
        a_load(store)(broken(), ignore)

    assert len(store.events) == BATCH


def test_what_was_read_before_a_file_broke_off_is_stored() -> None:
    store = MemoryStore()

    def broken() -> Iterator[Candidate]:
        yield from candidates(event_json(id="1"), event_json(id="2"))
        raise BrokenFile("orders.ndjson.gz")

    with pytest.raises(BrokenFile):
        a_load(store)(broken(), ignore)

    assert len(store.events) == 2


def mixed_candidates() -> st.SearchStrategy[list[Candidate]]:
    """Few names and few contents: so that duplicates and conflicts happen often."""
    event = st.builds(
        lambda id_, type_, n: orjson.dumps(event_json(id=id_, type=type_, data={"n": n})),
        st.sampled_from(["1", "2", "3", ""]),
        st.sampled_from(["test.happened", "test.happened", "test.other"]),
        st.sampled_from([1, 2, "two"]),
    )
    return st.lists(event | st.binary(max_size=3), max_size=30).map(lambda raw: candidates(*raw))


@given(lines=mixed_candidates())
def test_everything_that_was_read_has_one_outcome(lines: Sequence[Candidate]) -> None:
    store = MemoryStore()

    summary = a_load(store)(lines, ignore)

    outcomes = summary.outcomes
    refused = outcomes[Status.CONFLICT] + outcomes[Status.REJECTED]
    assert summary.read == len(lines) == sum(outcomes.values())
    assert outcomes[Status.ACCEPTED] == len(store.events)
    assert refused == len(store.rejections) == sum(summary.refusals.values())


@given(lines=mixed_candidates())
def test_a_file_that_is_loaded_again_adds_no_event(lines: Sequence[Candidate]) -> None:
    store = MemoryStore()
    load = a_load(store)
    first = load(lines, ignore)
    before = dict(store.events)

    again = load([Candidate.parse(c.raw, c.origin) for c in lines], ignore)

    assert store.events == before
    assert again.outcomes[Status.ACCEPTED] == 0
    assert again.outcomes[Status.DUPLICATE] == (
        first.outcomes[Status.ACCEPTED] + first.outcomes[Status.DUPLICATE]
    )
