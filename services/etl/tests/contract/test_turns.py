"""What servers can rely on when they share turns, whichever database keeps them."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from triptych.database.engine import open_database, writing
from triptych.database.schema import Schema, SchemaTooNew, SchemaTooOld, check, migrate, prepare
from triptych.etl.application.turns import Turns
from triptych.etl.domain.schedule import Turn
from triptych.etl.infrastructure.tables import SCHEMAS
from triptych.etl.infrastructure.turns import SqlTurns
from triptych.testing.builders import NOON

LEASE = timedelta(minutes=1)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    url = f"sqlite:///{tmp_path / 'etl.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").create_database()
    engine = open_database(url, create=True)
    yield engine
    engine.dispose()


@pytest.fixture
def turns(engine: sa.Engine) -> Turns:
    prepare(engine, SCHEMAS)
    return SqlTurns(engine)


@pytest.fixture
def turn(turns: Turns) -> Turn:
    """A turn that nobody has."""
    return turns.seen(["sales"], NOON)["sales"]


def test_a_pipeline_waits_from_when_it_was_first_seen(turns: Turns) -> None:
    turns.seen(["sales"], NOON)

    later = turns.seen(["sales", "refunds"], NOON + LEASE)

    assert later == {"sales": Turn("sales", NOON), "refunds": Turn("refunds", NOON + LEASE)}


def test_a_turn_has_one_owner(turns: Turns, turn: Turn) -> None:
    assert turns.take(turn, "a", NOON, NOON + LEASE)
    assert not turns.take(turn, "b", NOON, NOON + LEASE)

    assert turns.seen(["sales"], NOON)["sales"] == Turn("sales", NOON, "a", NOON + LEASE)


def test_a_turn_that_has_ended_is_taken_over_and_its_owner_is_told(
    turns: Turns, turn: Turn
) -> None:
    assert turns.take(turn, "a", NOON, NOON + LEASE)

    assert turns.take(turn, "b", NOON + LEASE, NOON + 2 * LEASE)

    assert not turns.keep("sales", "a", NOON + 3 * LEASE)
    assert turns.keep("sales", "b", NOON + 3 * LEASE)


def test_a_turn_that_is_kept_does_not_end(turns: Turns, turn: Turn) -> None:
    turns.take(turn, "a", NOON, NOON + LEASE)

    assert turns.keep("sales", "a", NOON + 2 * LEASE)

    assert not turns.take(turn, "b", NOON + LEASE, NOON + 2 * LEASE)


def test_a_turn_that_was_had_cannot_be_taken_by_who_saw_it_before(turns: Turns, turn: Turn) -> None:
    turns.take(turn, "a", NOON, NOON + LEASE)
    turns.give_back("sales", "a", NOON + LEASE / 2)

    assert not turns.take(turn, "b", NOON + LEASE, NOON + 2 * LEASE)

    now = turns.seen(["sales"], NOON + LEASE)["sales"]
    assert now == Turn("sales", NOON + LEASE / 2)
    assert turns.take(now, "b", NOON + LEASE, NOON + 2 * LEASE)


def test_a_turn_that_was_not_used_is_as_it_was(turns: Turns, turn: Turn) -> None:
    turns.take(turn, "a", NOON, NOON + LEASE)

    turns.give_back("sales", "a", None)

    assert turns.seen(["sales"], NOON + LEASE)["sales"] == turn


def test_who_has_lost_a_turn_cannot_give_it_back(turns: Turns, turn: Turn) -> None:
    turns.take(turn, "a", NOON, NOON + LEASE)
    turns.take(turn, "b", NOON + LEASE, NOON + 2 * LEASE)

    turns.give_back("sales", "a", NOON)

    assert turns.seen(["sales"], NOON)["sales"].owner == "b"


def test_of_many_who_want_a_turn_one_gets_it(turns: Turns, turn: Turn) -> None:
    with ThreadPoolExecutor(8) as servers:
        got = list(
            servers.map(lambda n: turns.take(turn, f"server {n}", NOON, NOON + LEASE), range(8))
        )

    assert sorted(got) == [False] * 7 + [True]


def test_tables_of_the_release_before_are_refused_until_they_are_migrated(
    engine: sa.Engine, tmp_path: Path
) -> None:
    shutil.copy(SCHEMAS[0].migrations / "v0001_state.py", tmp_path)
    migrate(engine, [Schema("etl", tmp_path, "etl migrate")])

    with pytest.raises(SchemaTooOld) as refused:
        prepare(engine, SCHEMAS)
    migrate(engine, SCHEMAS)

    assert refused.value.hint == "Make a backup, then run: etl migrate."
    check(engine, SCHEMAS)


def test_tables_of_a_later_release_are_refused(engine: sa.Engine) -> None:
    prepare(engine, SCHEMAS)
    with writing(engine) as connection:
        connection.execute(sa.text("UPDATE etl_version SET version_num = '0999'"))

    with pytest.raises(SchemaTooNew):
        prepare(engine, SCHEMAS)
