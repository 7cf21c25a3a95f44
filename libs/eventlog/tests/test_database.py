"""What the database of the log promises, beyond what every database of a service does."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from triptych.database.engine import DatabaseAway, open_database, reading, writing
from triptych.database.schema import migrate
from triptych.eventlog.log import SCHEMA, EventLogReader, append, events, metadata
from triptych.testing.builders import NOON, an_event

Open = Callable[[], sa.Engine]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where an event log may be made."""
    return f"sqlite:///{tmp_path / 'eventlog.db'}"


@pytest.fixture
def again(url: str) -> Iterator[Open]:
    """Open the log, which has its tables, as one more process would."""
    with ExitStack() as stack:

        def opened() -> sa.Engine:
            engine = open_database(url, create=True)
            stack.callback(engine.dispose)
            return engine

        migrate(opened(), [SCHEMA])
        yield opened


@pytest.fixture
def engine(again: Open) -> sa.Engine:
    """The log, opened once."""
    return again()


def ids(engine: sa.Engine) -> list[str]:
    """The ids in the log, in their order."""
    pages = EventLogReader(engine).read(["test.happened"], after=0, until=2**31)
    return [entry.event.id for page in pages for entry in page]


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2)], ids=["wal", "full"]
)
def test_the_database_is_in_the_mode_in_which_commits_survive_a_loss_of_power(
    engine: sa.Engine, pragma: str, value: object
) -> None:
    with reading(engine) as connection:
        found = connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()

    assert found == value


def test_a_log_is_found_again(again: Open, url: str) -> None:
    with writing(again()) as connection:
        append(connection, [an_event(id="kept").document], NOON)

    engine = open_database(url)

    assert ids(engine) == ["kept"]
    engine.dispose()


def test_the_folders_above_a_new_log_are_made(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'a' / 'b' / 'eventlog.db'}", create=True)

    migrate(engine, [SCHEMA])

    assert ids(engine) == []
    engine.dispose()


def test_an_error_of_the_database_shows_no_values(engine: sa.Engine) -> None:
    metadata.drop_all(engine)

    with pytest.raises(DatabaseAway) as caught, writing(engine) as connection:
        append(connection, [an_event(data="canary").document], NOON)

    assert "canary" not in caught.value.sentence


def test_a_transaction_that_fails_stores_nothing(engine: sa.Engine) -> None:
    def half_done() -> None:
        with writing(engine) as connection:
            append(connection, [an_event().document], NOON)
            raise RuntimeError("power is lost")

    with pytest.raises(RuntimeError, match="power is lost"):
        half_done()

    assert ids(engine) == []


def test_a_reader_neither_waits_for_a_writer_nor_sees_its_half(again: Open) -> None:
    writer, reader = again(), again()

    with writing(writer) as connection:
        append(connection, [an_event(id="new").document], NOON)
        meanwhile = (ids(reader), EventLogReader(reader).newest())

    assert meanwhile == ([], 0)
    assert ids(reader) == ["new"]


def test_a_reader_keeps_its_view_while_a_writer_commits(again: Open) -> None:
    query = sa.select(sa.func.count()).select_from(events)

    with reading(again()) as view:
        before = view.scalar(query)
        with writing(again()) as connection:
            append(connection, [an_event().document], NOON)
        after = view.scalar(query)

    assert (before, after) == (0, 0)


def test_tables_of_others_change_in_the_same_transaction(engine: sa.Engine) -> None:
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE notes (text)")

    def half_done() -> None:
        with writing(engine) as connection:
            append(connection, [an_event().document], NOON)
            connection.exec_driver_sql("INSERT INTO notes VALUES ('a')")
            connection.exec_driver_sql("INSERT INTO nowhere VALUES ('b')")

    with pytest.raises(DatabaseAway):
        half_done()

    with reading(engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM notes").scalar() == 0
    assert ids(engine) == []


def test_many_services_may_start_on_a_new_log_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'eventlog.db'}"

    def start(_: int) -> None:
        engine = open_database(url, create=True)
        migrate(engine, [SCHEMA])
        engine.dispose()

    with ThreadPoolExecutor(8) as starters:
        list(starters.map(start, range(24)))

    engine = open_database(url)
    assert sa.inspect(engine).has_table("events")
    engine.dispose()
