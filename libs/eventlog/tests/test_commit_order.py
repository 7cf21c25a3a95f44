"""A reader of PostgreSQL's log misses nothing, in whatever order transactions commit."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from triptych.core.domain.event import Event
from triptych.database.engine import open_database, reading, writing
from triptych.database.schema import migrate
from triptych.eventlog.log import (
    SCHEMA,
    Appended,
    EventLogReader,
    RewoundLog,
    append,
    check_positions,
    events,
    mend_positions,
)
from triptych.testing.builders import NOON, an_event
from triptych.testing.postgres import PostgresServer


@pytest.fixture
def log(postgres_server: PostgresServer) -> Iterator[sa.Engine]:
    """A new log in PostgreSQL."""
    engine = open_database(postgres_server.create_database())
    migrate(engine, [SCHEMA])
    yield engine
    engine.dispose()


def put(connection: sa.Connection, *batch: Event) -> None:
    """Append within somebody's transaction."""
    append(connection, [event.document for event in batch], NOON)


class Walker:
    """Reads from where it stopped, as etl does."""

    def __init__(self, engine: sa.Engine) -> None:
        self.reader = EventLogReader(engine)
        self.position = 0

    def walk(self) -> list[str]:
        """The ids of all that is new."""
        until = self.reader.newest()
        pages = self.reader.read(["test.happened"], after=self.position, until=until)
        found = [entry.event.id for page in pages for entry in page]
        self.position = max(self.position, until)
        return found


def test_an_event_whose_transaction_commits_late_is_not_missed(log: sa.Engine) -> None:
    walker = Walker(log)
    with writing(log) as slow:
        put(slow, an_event(id="slow"))
        with writing(log) as quick:
            put(quick, an_event(id="quick"))

        meanwhile = walker.walk()

    assert meanwhile == []  # `quick` is committed, and waits for what may still come before it
    assert walker.walk() == ["slow", "quick"]
    assert walker.walk() == []


def test_one_that_began_first_and_wrote_last_is_not_missed(log: sa.Engine) -> None:
    walker = Walker(log)
    with writing(log) as slow:
        slow.execute(sa.select(sa.func.now()))  # it has begun, and written nothing yet
        with writing(log) as quick:
            put(quick, an_event(id="quick"))
        first = walker.walk()
        put(slow, an_event(id="slow"))
        with writing(log) as last:
            put(last, an_event(id="last"))
        second = walker.walk()

    assert (first, second) == (["quick"], [])
    assert walker.walk() == ["slow", "last"]


def test_one_that_is_rolled_back_holds_nobody_up(log: sa.Engine) -> None:
    walker = Walker(log)

    def rolled_back() -> None:
        with writing(log) as connection:
            put(connection, an_event(id="never"))
            with writing(log) as quick:
                put(quick, an_event(id="quick"))
            assert walker.walk() == []
            raise RuntimeError("power is lost")

    with pytest.raises(RuntimeError, match="power is lost"):
        rolled_back()

    assert walker.walk() == ["quick"]


def test_transactions_that_append_the_same_events_never_wait_in_a_circle(log: sa.Engine) -> None:
    names = [str(n) for n in range(50)]
    outcomes = []

    def append_all(order: Sequence[str]) -> None:
        for start in range(20):
            batch = [an_event(id=f"{start}-{name}") for name in order]
            with writing(log) as connection:
                outcomes.extend(append(connection, [e.document for e in batch], NOON))

    with ThreadPoolExecutor(4) as writers:
        orders = [names, names[::-1], names[25:] + names[:25], sorted(names)]
        list(writers.map(append_all, orders))

    # PostgreSQL would have ended one of a circle with an error.
    assert Counter(outcomes) == {Appended.ACCEPTED: 1000, Appended.DUPLICATE: 3000}


def test_a_log_that_was_restored_into_a_younger_server_says_so_and_is_mended(
    log: sa.Engine,
) -> None:
    with writing(log) as connection:
        put(connection, an_event(id="old"))
        connection.execute(sa.update(events).values(position=events.c.position * 1000))

    with pytest.raises(RewoundLog, match="ahead"), reading(log) as connection:
        check_positions(connection)
    with writing(log) as connection:
        mend_positions(connection)
    with writing(log) as connection:
        put(connection, an_event(id="new"))

    with reading(log) as connection:
        check_positions(connection)
    assert Walker(log).walk() == ["old", "new"]
