"""What the SQL store does beyond what every store promises."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from triptych.core.domain.json import Violation
from triptych.core.domain.result import Err, Ok
from triptych.database.engine import DatabaseAway, open_database, reading
from triptych.eventlog.log import EventLogReader
from triptych.ingestion.domain.admission import Admitted, Arrival, Decision, Reason, Rejection
from triptych.ingestion.infrastructure.store import SqlStore
from triptych.ingestion.infrastructure.tables import rejections
from triptych.testing.builders import NOON, an_event


@pytest.fixture
def store(new_database: Callable[[], str]) -> Iterator[SqlStore]:
    engine = open_database(new_database(), create=True)
    prepared = SqlStore(engine)
    prepared.prepare()
    yield prepared
    engine.dispose()


def a_rejection(raw: bytes = b"{", reason: Reason = Reason.INVALID) -> Decision:
    violations = (Violation("/id", "required", "id is missing"), Violation("/time", "type", "no"))
    arrival = Arrival(raw, "orders.ndjson:17")
    return Err(Rejection(arrival, reason, violations, "urn:test", None, "test.happened", None))


def rows(store: SqlStore) -> list[sa.RowMapping]:
    with reading(store.engine) as connection:
        return list(connection.execute(sa.select(rejections).order_by(rejections.c.id)).mappings())


def test_a_rejection_is_kept_with_everything_that_is_known_of_it(store: SqlStore) -> None:
    store.save([a_rejection(b"\x00\xff")], NOON)

    [row] = rows(store)
    assert (row["raw"], row["origin"], row["reason"]) == (
        b"\x00\xff",
        "orders.ndjson:17",
        "invalid",
    )
    assert (row["source"], row["event_id"], row["type"]) == ("urn:test", None, "test.happened")
    assert row["violations"] == [
        {"pointer": "/id", "keyword": "required", "message": "id is missing"},
        {"pointer": "/time", "keyword": "type", "message": "no"},
    ]


def test_the_same_rejection_again_is_counted_in_its_row(store: SqlStore) -> None:
    later = NOON + timedelta(hours=1)
    store.save([a_rejection(), a_rejection()], NOON)

    store.save([a_rejection()], later)

    [row] = rows(store)
    assert row["times"] == 3
    assert row["first_at"] == NOON
    assert row["last_at"] == later


def test_other_bytes_and_other_reasons_are_rows_of_their_own(store: SqlStore) -> None:
    store.save([a_rejection(b"{"), a_rejection(b"["), a_rejection(b"{", Reason.MALFORMED)], NOON)

    assert [row["times"] for row in rows(store)] == [1, 1, 1]


def test_preparing_a_store_again_keeps_what_is_in_it(store: SqlStore) -> None:
    store.save([a_rejection()], NOON)

    store.prepare()

    assert len(rows(store)) == 1


def test_a_store_whose_tables_are_gone_is_away(store: SqlStore) -> None:
    store.touch()
    rejections.drop(store.engine)

    with pytest.raises(DatabaseAway):
        store.touch()


def test_what_cannot_be_stored_as_a_whole_is_not_stored_at_all(store: SqlStore) -> None:
    event = an_event()
    admitted = Ok(Admitted(event.document, Arrival(b"{}", "http"), "test.happened/1"))
    rejections.drop(store.engine)

    with pytest.raises(DatabaseAway):
        store.save([admitted, a_rejection()], NOON)

    assert EventLogReader(store.engine).newest() == 0
