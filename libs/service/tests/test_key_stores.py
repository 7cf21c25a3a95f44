"""What every store of keys promises, whichever it is."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from triptych.database.engine import open_database, opened_database
from triptych.database.schema import prepare
from triptych.service.keys import ApiKey, KeyStore, MemoryKeys, Scope, mint
from triptych.service.sql_keys import SqlKeys
from triptych.service.tables import access_schema, cursor_secret, metadata
from triptych.testing.builders import NOON

HOUR = timedelta(hours=1)
SCHEMA = access_schema("service migrate")


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyStore]:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    if request.param == "memory":
        yield MemoryKeys()
        return
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").create_database()
    engine = open_database(url, create=True)
    prepare(engine, [SCHEMA])
    yield SqlKeys(engine)
    engine.dispose()


def a_key(name: str = "tills", hours: int = 0) -> ApiKey:
    key, _ = mint(name, [Scope.WRITE, Scope.READ], now=NOON + hours * HOUR, event_types=["shop.*"])
    return key


def test_keys_are_kept_as_they_were_made_the_oldest_first(keys: KeyStore) -> None:
    second, first = a_key("b", 2), replace(a_key("a", 1), expires_at=NOON + 9 * HOUR)

    keys.add(second)
    keys.add(first)

    assert keys.all() == [first, second]


def test_a_revoked_key_stays_revoked_since_the_first_time(keys: KeyStore) -> None:
    keys.add(key := a_key())

    assert keys.revoke(key.id, NOON + HOUR)
    assert keys.revoke(key.id, NOON + 2 * HOUR)

    assert keys.all() == [replace(key, revoked_at=NOON + HOUR)]


def test_a_key_expires_at_the_earliest_of_its_ends(keys: KeyStore) -> None:
    keys.add(key := a_key())

    assert keys.expire(key.id, NOON + 2 * HOUR)
    assert keys.expire(key.id, NOON + 3 * HOUR)
    assert keys.expire(key.id, NOON + HOUR)

    assert keys.all() == [replace(key, expires_at=NOON + HOUR)]


def test_a_key_that_is_not_there_cannot_end(keys: KeyStore) -> None:
    assert not keys.revoke("nobody", NOON)
    assert not keys.expire("nobody", NOON)


def test_it_is_remembered_when_keys_were_last_used(keys: KeyStore) -> None:
    keys.add(used := a_key("used"))
    keys.add(unused := a_key("unused", 1))

    keys.used({used.id: NOON + HOUR})
    keys.used({})

    assert keys.all() == [replace(used, last_used_at=NOON + HOUR), unused]


def test_a_later_use_is_not_forgotten_for_an_earlier_one(keys: KeyStore) -> None:
    keys.add(key := a_key())
    keys.used({key.id: NOON + 2 * HOUR})

    keys.used({key.id: NOON + HOUR})

    assert keys.all() == [replace(key, last_used_at=NOON + 2 * HOUR)]


def test_a_use_of_a_key_that_is_not_there_is_nothing(keys: KeyStore) -> None:
    keys.used({"nobody": NOON})

    assert keys.all() == []


def test_rights_are_kept_exactly(keys: KeyStore) -> None:
    admin, _ = mint("[/x] ü", [Scope.ADMIN], now=NOON)
    sender, _ = mint("", Scope, now=NOON + HOUR, event_types=["shop.*", "a"])
    keys.add(admin)
    keys.add(sender)

    assert keys.all() == [admin, sender]


def test_migrated_databases_have_the_tables_that_the_program_uses(
    new_database: Callable[[], str],
) -> None:
    with opened_database(new_database(), create=True) as engine:
        prepare(engine, [SCHEMA])
        own = {table.name for table in metadata.sorted_tables}
        options = {"include_name": lambda name, kind, _: kind != "table" or name in own}
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=options)
            differences = compare_metadata(context, metadata)
        secret = cursor_secret(engine)
        prepare(engine, [SCHEMA])

        assert differences == []
        assert len(secret) == 32
        assert cursor_secret(engine) == secret
