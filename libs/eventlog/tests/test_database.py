"""Opening the database, and what its transactions promise."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from triptych.core.errors import TriptychError
from triptych.eventlog.database import (
    DatabaseAway,
    NoEventLog,
    WrongDatabase,
    open_database,
    reading,
    writing,
)
from triptych.eventlog.log import SCHEMA, EventLogReader, append, events, metadata
from triptych.eventlog.schema import migrate
from triptych.testing.access import forbidden
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


def test_a_reader_does_not_make_the_log_that_it_misses(tmp_path: Path) -> None:
    with pytest.raises(NoEventLog, match=r"nowhere\.db"):
        open_database(f"sqlite:///{tmp_path / 'nowhere.db'}")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    "url",
    ["", "eventlog.db", "sqlite://", "mysql://user@host/db", "mysql://user:canary@host/db"],
)
def test_a_database_that_is_not_supported_is_refused(url: str, create: bool) -> None:
    with pytest.raises(WrongDatabase):
        open_database(url, create=create)


def test_a_refused_url_is_shown_without_its_password() -> None:
    with pytest.raises(WrongDatabase, match="mysql") as caught:
        open_database("mysql://user:canary@host/db")

    assert "canary" not in caught.value.sentence


@pytest.mark.parametrize("error", [WrongDatabase, NoEventLog, DatabaseAway])
def test_every_error_names_the_variable_to_look_at(error: type[TriptychError]) -> None:
    assert "TRIPTYCH_EVENTLOG_URL" in error().hint


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with forbidden(tmp_path), pytest.raises(DatabaseAway, match="closed"):
        open_database(f"sqlite:///{tmp_path / 'closed' / 'eventlog.db'}", create=True)


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()

    with pytest.raises(DatabaseAway, match="taken"):
        open_database(f"sqlite:///{tmp_path / 'taken' / 'eventlog.db'}", create=True)


def test_a_log_that_may_not_be_written_is_away(tmp_path: Path, url: str, again: Open) -> None:
    again().dispose()
    engine = open_database(url)

    with forbidden(tmp_path), pytest.raises(DatabaseAway), writing(engine):
        pass


def test_a_file_that_is_no_database_is_away(tmp_path: Path) -> None:
    (tmp_path / "eventlog.db").write_bytes(b"no database, but long enough to be one" * 100)
    engine = open_database(f"sqlite:///{tmp_path / 'eventlog.db'}")

    with pytest.raises(DatabaseAway, match="not a database"):
        EventLogReader(engine).newest()


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


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:canary@host:canary/db",
        "mysql://host/db?password=canary",
        "mysql://user:ca@canary@host/db",
        "sqlite+nonsense:///canary",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
    ],
)
def test_a_url_that_names_no_lasting_file_is_refused_and_never_repeated(url: str) -> None:
    with pytest.raises(WrongDatabase) as refused:
        open_database(url, create=True)

    assert "canary" not in refused.value.sentence


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
