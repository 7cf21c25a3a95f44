"""Tables are brought from each version to the next, and nothing in them is lost."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from triptych.core.domain.event import Event
from triptych.database.engine import open_database, writing
from triptych.database.schema import SchemaTooNew, SchemaTooOld, check, migrate, prepare
from triptych.eventlog.log import SCHEMA, Appended, EventLogReader, append, metadata
from triptych.testing.builders import NOON, an_event

# What release 0.1.0 made, literally.
UNVERSIONED = """
CREATE TABLE events (
    position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    accepted_at DATETIME NOT NULL,
    event JSON NOT NULL,
    UNIQUE (source, id)
);
CREATE INDEX ix_events_type ON events (type)
"""


@pytest.fixture
def database(new_database: Callable[[], str]) -> Iterator[sa.Engine]:
    """A database with nothing in it."""
    engine = open_database(new_database(), create=True)
    yield engine
    engine.dispose()


def test_a_migrated_database_has_the_tables_that_the_program_uses(database: sa.Engine) -> None:
    migrate(database, [SCHEMA])

    check(database, [SCHEMA])
    with database.connect() as connection:
        options = {"include_name": lambda name, *_: name != SCHEMA.version_table}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(database: sa.Engine) -> None:
    migrate(database, [SCHEMA])
    with writing(database) as connection:
        append(connection, [an_event().document], NOON)

    migrate(database, [SCHEMA])

    assert events(database) == [an_event()]


def test_a_log_without_a_version_keeps_everything(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'eventlog.db'}", create=True)
    stored = [an_event(id=str(n), data={"n": n}) for n in range(20)]
    insert = "INSERT INTO events VALUES (?, ?, ?, ?, ?, '2030-01-01 12:00:00.000000', ?)"
    with writing(database) as connection:
        for statement in UNVERSIONED.split(";"):
            connection.exec_driver_sql(statement)
        for position, event in enumerate(stored, 7):
            kept = event.document
            row = (position, kept.source, kept.id, kept.type, kept.fingerprint, kept.json)
            connection.exec_driver_sql(insert, row)
    with pytest.raises(SchemaTooOld, match="no version"):
        check(database, [SCHEMA])

    migrate(database, [SCHEMA])

    check(database, [SCHEMA])
    assert events(database) == stored
    with writing(database) as connection:
        again = append(connection, [event.document for event in stored], NOON)
    assert set(again) == {Appended.DUPLICATE}
    assert EventLogReader(database).newest() == 26
    database.dispose()


def test_an_empty_database_is_too_old(database: sa.Engine) -> None:
    with pytest.raises(SchemaTooOld, match="no version"):
        check(database, [SCHEMA])


def test_what_a_newer_release_made_is_left_alone(database: sa.Engine) -> None:
    migrate(database, [SCHEMA])
    with writing(database) as connection:
        connection.exec_driver_sql("UPDATE eventlog_version SET version_num = '9999'")

    for refused in (check, migrate):
        with pytest.raises(SchemaTooNew, match="9999"):
            refused(database, [SCHEMA])


def test_only_tables_that_never_were_are_made_without_being_asked(database: sa.Engine) -> None:
    prepare(database, [SCHEMA])
    with writing(database) as connection:
        connection.exec_driver_sql("UPDATE eventlog_version SET version_num = '0001'")

    with pytest.raises(SchemaTooOld, match="0001"):
        prepare(database, [SCHEMA])


def events(database: sa.Engine) -> list[Event]:
    """All events of the log."""
    reader = EventLogReader(database)
    pages = reader.read(["test.happened"], after=0, until=reader.newest())
    return [entry.event for page in pages for entry in page]
