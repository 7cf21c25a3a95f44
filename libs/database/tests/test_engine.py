"""Opening a database, and what its transactions promise."""

from pathlib import Path

import pytest

from triptych.database.engine import (
    DatabaseAway,
    NoDatabase,
    WrongDatabase,
    open_database,
    reading,
    writing,
)
from triptych.testing.access import forbidden


def test_a_reader_does_not_make_the_database_that_it_misses(tmp_path: Path) -> None:
    with pytest.raises(NoDatabase, match=r"nowhere\.db"):
        open_database(f"sqlite:///{tmp_path / 'nowhere.db'}")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    "url",
    ["", "service.db", "sqlite://", "mysql://user@host/db", "mysql://user:canary@host/db"],
)
def test_a_database_that_is_not_supported_is_refused(url: str, create: bool) -> None:
    with pytest.raises(WrongDatabase):
        open_database(url, create=create)


def test_a_refused_url_is_shown_without_its_password() -> None:
    with pytest.raises(WrongDatabase, match="mysql") as caught:
        open_database("mysql://user:canary@host/db")

    assert "canary" not in caught.value.sentence


def test_errors_name_the_setting_to_look_at(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_bytes(b"no database, but long enough to be one" * 100)
    broken = open_database(f"sqlite:///{tmp_path / 'broken.db'}", setting="PLACE")

    with pytest.raises(WrongDatabase, match=r"^PLACE: "):
        open_database("nonsense", setting="PLACE")
    with pytest.raises(NoDatabase, match=r"^PLACE: "):
        open_database(f"sqlite:///{tmp_path / 'nowhere.db'}", setting="PLACE")
    with pytest.raises(DatabaseAway, match=r"^PLACE: "), writing(broken):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with forbidden(tmp_path), pytest.raises(DatabaseAway, match="closed"):
        open_database(f"sqlite:///{tmp_path / 'closed' / 'service.db'}", create=True)


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()

    with pytest.raises(DatabaseAway, match="taken"):
        open_database(f"sqlite:///{tmp_path / 'taken' / 'service.db'}", create=True)


def test_a_database_that_may_not_be_written_is_away(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    made = open_database(url, create=True)
    with writing(made) as connection:
        connection.exec_driver_sql("CREATE TABLE notes (text)")
    made.dispose()
    engine = open_database(url)

    with forbidden(tmp_path), pytest.raises(DatabaseAway), writing(engine):
        pass


def test_a_file_that_is_no_database_is_away(tmp_path: Path) -> None:
    (tmp_path / "service.db").write_bytes(b"no database, but long enough to be one" * 100)
    engine = open_database(f"sqlite:///{tmp_path / 'service.db'}")

    with pytest.raises(DatabaseAway, match="not a database"), reading(engine):
        pass


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
