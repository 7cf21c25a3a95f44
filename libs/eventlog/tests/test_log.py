"""Append exactly once, read in the order of commits."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from triptych.core.domain.event import Event
from triptych.database.engine import open_database, writing
from triptych.database.schema import migrate
from triptych.eventlog.log import (
    SCHEMA,
    Appended,
    CorruptEntry,
    Entry,
    EventLogReader,
    append,
    events,
)
from triptych.testing.builders import NOON, an_event
from triptych.testing.strategies import events as any_events

ACCEPTED, DUPLICATE, CONFLICT = Appended.ACCEPTED, Appended.DUPLICATE, Appended.CONFLICT


NewDatabase = Callable[[], str]


@contextmanager
def a_log(url: str) -> Iterator[sa.Engine]:
    """A new, empty log."""
    engine = open_database(url, create=True)
    migrate(engine, [SCHEMA])
    yield engine
    engine.dispose()


@pytest.fixture
def log(new_database: NewDatabase) -> Iterator[sa.Engine]:
    """A log of the test's own."""
    with a_log(new_database()) as engine:
        yield engine


def store(engine: sa.Engine, *batch: Event) -> list[Appended]:
    """Append in a transaction of its own."""
    with writing(engine) as connection:
        return append(connection, [event.document for event in batch], NOON)


def entries(engine: sa.Engine, types: Iterable[str] = ("test.happened",)) -> list[Entry]:
    """All entries of these types."""
    reader = EventLogReader(engine)
    return [entry for page in reader.read(types, after=0, until=reader.newest()) for entry in page]


def contents(engine: sa.Engine) -> list[Event]:
    """All events, in their order."""
    return [entry.event for entry in entries(engine)]


@given(st.lists(any_events(), max_size=8))
def test_events_are_read_as_they_were_appended(
    new_database: NewDatabase, batch: list[Event]
) -> None:
    first: dict[tuple[str, str], Event] = {}
    for event in batch:
        first.setdefault((event.source, event.id), event)

    with a_log(new_database()) as engine:
        store(engine, *batch)

        read = [entry.event for entry in entries(engine, {event.type for event in batch})]

    assert read == list(first.values())


@given(any_events())
def test_any_event_that_comes_again_is_a_duplicate(new_database: NewDatabase, event: Event) -> None:
    with a_log(new_database()) as engine:
        outcomes = store(engine, event) + store(engine, event)

    assert outcomes == [ACCEPTED, DUPLICATE]


def test_nothing_comes_of_nothing(log: sa.Engine) -> None:
    assert store(log) == []


def test_the_same_event_again_is_stored_once(log: sa.Engine) -> None:
    store(log, an_event())

    outcomes = store(log, an_event())

    assert outcomes == [DUPLICATE]
    assert contents(log) == [an_event()]


def test_of_two_contents_under_one_name_the_first_stays(log: sa.Engine) -> None:
    store(log, an_event(data="first"))

    outcomes = store(log, an_event(data="second"))

    assert outcomes == [CONFLICT]
    assert contents(log) == [an_event(data="first")]


def test_one_id_of_two_sources_is_two_events(log: sa.Engine) -> None:
    outcomes = store(log, an_event(source="urn:a"), an_event(source="urn:b"))

    assert outcomes == [ACCEPTED, ACCEPTED]


def test_what_became_of_a_batch_is_told_in_its_order(log: sa.Engine) -> None:
    store(log, an_event(id="old"))

    outcomes = store(
        log,
        an_event(id="new"),
        an_event(id="old"),
        an_event(id="new"),
        an_event(id="old", data="other"),
        an_event(id="new", data="other"),
        an_event(id="newer"),
    )

    assert outcomes == [ACCEPTED, DUPLICATE, DUPLICATE, CONFLICT, CONFLICT, ACCEPTED]
    assert [event.id for event in contents(log)] == ["old", "new", "newer"]


def test_a_batch_may_be_larger_than_a_statement(log: sa.Engine) -> None:
    batch = [an_event(id=str(n)) for n in range(1234)]

    outcomes = store(log, *batch, batch[0], an_event(id="700", data="other"))

    assert outcomes == [ACCEPTED] * 1234 + [DUPLICATE, CONFLICT]
    assert contents(log) == batch


def test_an_event_that_was_rolled_back_can_come_again(log: sa.Engine) -> None:
    with log.connect() as connection, connection.begin() as transaction:
        append(connection, [an_event().document], NOON)
        transaction.rollback()

    assert store(log, an_event()) == [ACCEPTED]


def test_positions_grow(log: sa.Engine) -> None:
    store(log, an_event(id="a"), an_event(id="b"))
    store(log, an_event(id="a"), an_event(id="c"))

    positions = [entry.position for entry in entries(log)]

    assert len(positions) == 3
    assert positions == sorted(set(positions))


def test_a_position_never_comes_twice_even_after_a_deletion(log: sa.Engine) -> None:
    store(log, an_event(id="a"), an_event(id="b"))
    newest = EventLogReader(log).newest()
    with writing(log) as connection:
        connection.execute(sa.delete(events).where(events.c.position == newest))

    store(log, an_event(id="c"))

    assert EventLogReader(log).newest() > newest


def test_the_moment_of_acceptance_is_kept_with_the_event(log: sa.Engine) -> None:
    store(log, an_event())

    with log.connect() as connection:
        assert connection.scalar(sa.select(events.c.accepted_at)) == NOON


def test_an_empty_log_is_at_0(log: sa.Engine) -> None:
    assert EventLogReader(log).newest() == 0


def test_what_is_appended_while_somebody_reads_lies_beyond_what_they_asked_for(
    log: sa.Engine,
) -> None:
    store(log, an_event(id="a"), an_event(id="b"), an_event(id="c"))
    reader = EventLogReader(log)

    pages = reader.read(["test.happened"], after=0, until=reader.newest(), batch=2)
    read = next(pages)
    store(log, an_event(id="late"))
    read += [entry for page in pages for entry in page]

    assert [entry.event.id for entry in read] == ["a", "b", "c"]


def test_a_row_that_somebody_else_wrote_is_not_taken_for_an_event(log: sa.Engine) -> None:
    store(log, an_event())
    with writing(log) as connection:
        connection.execute(sa.update(events).values(event='{"id": "1"}'))

    with pytest.raises(CorruptEntry, match=r"position \d+: .*source is missing"):
        entries(log)


TYPES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def twenty(new_database: NewDatabase) -> Iterator[tuple[sa.Engine, list[Entry]]]:
    """A log of twenty events of three types, to be read only, and its entries."""
    with a_log(new_database()) as engine:
        store(engine, *(an_event(id=str(n), type=TYPES[n * n % 3]) for n in range(20)))
        yield engine, entries(engine, TYPES)


@given(
    types=st.lists(st.sampled_from([*TYPES, "other"])),
    bounds=st.tuples(st.integers(-1, 22), st.integers(-1, 22)),
    batch=st.integers(1, 5),
)
def test_what_is_asked_for_is_read_once_in_order_and_nothing_else(
    twenty: tuple[sa.Engine, list[Entry]],
    types: Sequence[str],
    bounds: tuple[int, int],
    batch: int,
) -> None:
    engine, stored = twenty
    after, until = (stored[0].position - 1 + bound for bound in bounds)

    pages = list(EventLogReader(engine).read(types, after=after, until=until, batch=batch))

    wanted = [e for e in stored if after < e.position <= until and e.event.type in types]
    assert [entry for page in pages for entry in page] == wanted
    assert all(0 < len(page) <= batch for page in pages)
