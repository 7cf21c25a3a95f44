"""A lake is a folder of tables; a name cannot lead out of it."""

from pathlib import Path

import pyarrow as pa
import pytest

from triptych.lake.change import Change, Progress
from triptych.lake.errors import LakeAway, NoSuchTable, WrongLake, WrongTableName
from triptych.lake.lake import Lake
from triptych.testing.access import forbidden

SCHEMA = pa.schema([("n", pa.int64())])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake.open(str(tmp_path / "lake"))


def create(lake: Lake, name: str) -> None:
    table = lake.table(name)
    table.new_file("none.parquet")
    table.commit(Change((), SCHEMA), [Progress("test", 0, 1)], {})


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_the_folders_of_a_new_lake_are_made(tmp_path: Path, scheme: str) -> None:
    lake = Lake.open(f"{scheme}{tmp_path / 'a' / 'lake'}")

    assert (tmp_path / "a" / "lake").is_dir()
    assert lake.names() == []


def test_a_lake_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lake = Lake.open("lake")
    create(lake, "sales")

    monkeypatch.chdir(tmp_path.parent)

    assert lake.names() == ["sales"]


def test_the_names_are_those_of_the_tables_in_the_order_of_the_alphabet(lake: Lake) -> None:
    create(lake, "sales")
    create(lake, "costs")
    lake.table("never_committed").new_file("rows.parquet")
    (lake.root / "folder").mkdir()
    (lake.root / "file").touch()

    assert lake.names() == ["costs", "sales"]


@pytest.mark.parametrize("name", ["a", "sales", "sales_2030", "a" * 63])
def test_a_plain_name_names_a_table(lake: Lake, name: str) -> None:
    create(lake, name)

    assert lake.names() == [name]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "X",
        "../x",
        "..",
        ".",
        "a/b",
        "/a",
        "_x",
        "2x",
        "a-b",
        "a b",
        "a.b",
        "é",
        "a\n",
        "a" * 64,
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(lake: Lake, name: str) -> None:
    with pytest.raises(WrongTableName):
        lake.table(name)


def test_a_table_that_was_never_committed_to_is_not_there(lake: Lake) -> None:
    table = lake.table("sales")
    table.new_file("rows.parquet")

    with pytest.raises(NoSuchTable, match="sales"):
        table.snapshot()


def test_a_table_that_was_never_committed_to_is_at_position_0(lake: Lake) -> None:
    assert lake.table("sales").position("etl") == 0


def test_a_file_where_the_lake_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()

    with pytest.raises(LakeAway, match="taken"):
        Lake.open(str(tmp_path / "taken"))


def test_a_file_where_a_table_should_be_is_named(lake: Lake) -> None:
    (lake.root / "taken").touch()

    with pytest.raises(LakeAway, match="taken"):
        lake.table("taken").new_file("rows.parquet")


def test_a_lake_that_cannot_be_made_is_away(tmp_path: Path) -> None:
    with forbidden(tmp_path), pytest.raises(LakeAway, match="lake"):
        Lake.open(str(tmp_path / "lake"))


def test_a_lake_that_may_not_be_written_is_away(lake: Lake) -> None:
    with forbidden(lake.root), pytest.raises(LakeAway, match="sales"):
        lake.table("sales").new_file("rows.parquet")


def test_a_lake_whose_folder_has_gone_is_away(lake: Lake) -> None:
    lake.root.rmdir()

    with pytest.raises(LakeAway):
        lake.names()


def test_a_table_that_cannot_be_read_is_away(lake: Lake) -> None:
    create(lake, "sales")
    [entry] = (lake.root / "sales" / "_delta_log").glob("*.json")
    entry.write_text("no JSON", encoding="utf-8")

    with pytest.raises(LakeAway, match="sales"):
        lake.table("sales").snapshot()


@pytest.mark.parametrize("url", ["s3://bucket/lake", "a%20b"])
def test_a_place_that_would_be_mistaken_for_another_is_refused(url: str) -> None:
    with pytest.raises(WrongLake):
        Lake.open(url)


def test_a_table_whose_first_commit_died_is_not_listed(lake: Lake) -> None:
    (lake.root / "sales" / "_delta_log").mkdir(parents=True)

    assert lake.names() == []
