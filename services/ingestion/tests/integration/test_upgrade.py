"""The database of release 0.1.0 becomes this release's, and nothing in it is lost."""

import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta

import orjson
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from fastapi.testclient import TestClient

from triptych.core.domain.result import Err, Ok
from triptych.database.engine import open_database, writing
from triptych.eventlog.log import EventLogReader
from triptych.ingestion.domain.admission import Admitted, Arrival, Reason, Rejection
from triptych.ingestion.entrypoints.http import create_ingestion
from triptych.ingestion.infrastructure.store import SqlStore
from triptych.ingestion.infrastructure.tables import metadata
from triptych.ingestion.settings import IngestionSettings
from triptych.ingestion.wiring import wire
from triptych.testing.builders import NOON, an_event, invoice_json

Command = Callable[..., subprocess.CompletedProcess[str]]

# What release 0.1.0 made, literally.
OLD = """
CREATE TABLE events (
    position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, fingerprint BLOB NOT NULL,
    accepted_at DATETIME NOT NULL, event JSON NOT NULL, UNIQUE (source, id)
);
CREATE INDEX ix_events_type ON events (type);
CREATE TABLE rejections (
    id INTEGER NOT NULL PRIMARY KEY, digest BLOB NOT NULL, reason TEXT NOT NULL,
    source TEXT, event_id TEXT, type TEXT, contract TEXT, violations JSON NOT NULL,
    raw BLOB NOT NULL, origin TEXT NOT NULL, first_at DATETIME NOT NULL,
    last_at DATETIME NOT NULL, times INTEGER NOT NULL, UNIQUE (digest)
)
"""
MOMENT = "2030-01-01 12:00:00.000000"


@pytest.fixture
def old(database: str) -> Iterator[sa.Engine]:
    """A database of release 0.1.0 with ten events, and ten rejections of valid events."""
    engine = open_database(database, create=True)
    with writing(engine) as connection:
        for statement in OLD.split(";"):
            connection.exec_driver_sql(statement)
        for n in range(10):
            kept = an_event(id=str(n)).document
            row = (n + 1, kept.source, kept.id, kept.type, kept.fingerprint, MOMENT, kept.json)
            connection.exec_driver_sql("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            raw = orjson.dumps(invoice_json(invoice=str(100000 + n)))
            connection.exec_driver_sql(
                "INSERT INTO rejections VALUES"
                " (?, ?, 'contract', 'urn:test', ?, 'shop.invoice', NULL, '[]', ?, 'http', ?, ?, 1)",
                (n + 1, bytes([n]) * 32, str(100000 + n), raw, MOMENT, MOMENT),
            )
    yield engine
    engine.dispose()


def test_a_service_refuses_an_old_database_and_says_what_to_do(
    old: sa.Engine, ingestion: Command
) -> None:
    for command in (("serve",), ("load", "x.ndjson"), ("migrate", "--check")):
        ended = ingestion(*command)

        assert ended.returncode in (1, 2)
        assert "Traceback" not in ended.stderr
        if command[0] != "load":
            assert "run: ingestion migrate" in ended.stderr


def test_everything_is_there_after_the_migration(
    old: sa.Engine, ingestion: Command, settings: IngestionSettings
) -> None:
    assert ingestion("migrate").returncode == 0
    assert ingestion("migrate", "--check").returncode == 0

    reader = EventLogReader(old)
    pages = reader.read(["test.happened"], after=0, until=reader.newest())
    assert [e.event for page in pages for e in page] == [an_event(id=str(n)) for n in range(10)]
    with wire(settings) as service, TestClient(create_ingestion(service)) as client:
        listed = client.get("/v1/rejections").json()["rejections"]
        replayed = client.post("/v1/rejections/replay").json()
    assert [rejection["id"] for rejection in listed] == list(range(10, 0, -1))
    assert (replayed["replayed"], replayed["refused"]) == (10, 0)


def test_a_migrated_database_has_the_tables_that_the_program_uses(
    new_database: Callable[[], str],
) -> None:
    engine = open_database(new_database(), create=True)
    SqlStore(engine).prepare()

    own = {table.name for table in metadata.sorted_tables}
    with engine.connect() as connection:
        options = {"include_name": lambda name, kind, _: kind != "table" or name in own}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_database_of_a_newer_release_is_left_alone(ingestion: Command, database: str) -> None:
    assert ingestion("migrate").returncode == 0
    engine = open_database(database)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE ingestion_version SET version_num = '9999'")
    engine.dispose()

    for arguments in (("migrate",), ("migrate", "--check"), ("serve",)):
        ended = ingestion(*arguments)
        assert ended.returncode == 1
        assert "newer than this program" in ended.stderr


def test_what_is_pruned_is_forgotten_and_what_is_younger_stays(
    ingestion: Command, new_database: Callable[[], str]
) -> None:
    url = new_database()
    store = SqlStore(open_database(url, create=True))
    store.prepare()
    old_event, young = an_event(id="old").document, an_event(id="young").document
    arrival = Arrival(b"{", "http")
    store.save(
        [Ok(Admitted(old_event, arrival, "t/1")), Err(Rejection(arrival, Reason.MALFORMED, ()))],
        NOON - timedelta(days=100),
    )
    store.save([Ok(Admitted(young, arrival, "t/1"))], NOON)

    forgotten = store.prune(timedelta(days=90), NOON)

    assert forgotten == (1, 1)
    assert store.event("urn:test", "old") is None
    assert store.event("urn:test", "young") is not None
    ended = ingestion("prune", "--older-than", "90d", TRIPTYCH_EVENTLOG_URL=url)
    assert ended.stdout == "0 events and 0 rejections forgotten.\n"
    store.engine.dispose()
