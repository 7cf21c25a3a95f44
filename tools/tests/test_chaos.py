"""`triptych chaos`: what is lost or doubled is found, and said."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from triptych.tools.chaos.clients import Ledger
from triptych.tools.chaos.ingestion import Numbers, scenarios
from triptych.tools.chaos.verdict import Findings, State
from triptych.tools.cli import cli
from triptych.tools.stores import Store, StoreName

EVENT = ("urn:test", "1")


@pytest.mark.parametrize(
    ("stored", "state", "said"),
    [
        ([EVENT], State.HELD, "0 missing; 0 stored twice"),
        ([], State.BROKEN, "1 missing (BROKEN)"),
        ([EVENT, EVENT], State.BROKEN, "1 stored twice (BROKEN)"),
    ],
)
def test_what_is_missing_or_doubled_is_counted(
    stored: list[tuple[str, str]], state: State, said: str, tmp_path: Path
) -> None:
    store = _a_log_that_lies(tmp_path, stored)
    findings = Findings("a scenario", "a promise")

    Ledger(acknowledged={EVENT}).check(store, findings)

    assert findings.verdict().state is state
    assert said in findings.verdict().counted


def test_one_broken_fact_breaks_the_promise() -> None:
    findings = Findings("a scenario", "a promise")

    findings.add("first", holds=False)
    findings.add("second")

    assert findings.verdict().state is State.BROKEN
    assert findings.verdict().counted == "first (BROKEN); second"


def test_the_database_is_taken_away_where_it_can_be() -> None:
    names = {store: [one.name for one in scenarios(store, Numbers())] for store in StoreName}

    assert "disk full" in names[StoreName.SQLITE]
    assert {"PostgreSQL killed", "PostgreSQL paused", "two replicas"} <= set(
        names[StoreName.POSTGRES]
    )


def test_nothing_to_play_breaks_nothing() -> None:
    result = CliRunner().invoke(cli, ["chaos", "ingestion", "--only", "no such scenario"])

    assert result.exit_code == 0


def _a_log_that_lies(folder: Path, names: list[tuple[str, str]]) -> Store:
    """It holds the same twice, which the real one's constraint forbids."""
    store = Store(StoreName.SQLITE, f"sqlite:///{folder}/log.db")
    engine = sa.create_engine(store.url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE events (position INTEGER PRIMARY KEY, source, id)")
        for name in names:
            connection.exec_driver_sql("INSERT INTO events (source, id) VALUES (?, ?)", name)
    return store
