"""The source `files`: each file is read once, whatever it is."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from triptych.core.documents import WrongDocument
from triptych.etl.application.ports import QueryFailed
from triptych.etl.infrastructure.sources.files import BrokenFile, FileChanged

NDJSON = """
    version: 1
    name: orders
    source:
      files:
        paths: ["in/*.ndjson*"]
        columns: {id: text, n: integer}
    sink:
      lake: { table: orders }
"""
CSV = NDJSON.replace("ndjson*", "csv").replace("columns: {id: text, n: integer}", "format: csv")
PARQUET = NDJSON.replace("ndjson*", "parquet").replace("columns: {id: text, n: integer}", "{}")


def test_each_file_is_read_once(house: Any) -> None:
    house.write("in/1.ndjson", '{"id": "a", "n": 1}\n\n{"id": "b", "n": 2}')
    [first] = house.run(NDJSON)
    house.write("in/2.ndjson", '{"id": "c", "n": 3}\n')

    [second] = house.run(NDJSON)
    [third] = house.run(NDJSON)

    assert [report.rows.read for report in (first, second, third)] == [2, 1, 0]
    assert [row["id"] for row in house.rows("orders")] == ["a", "b", "c"]


def test_packed_files_are_unpacked(house: Any) -> None:
    house.write("in/1.ndjson.gz", gzip.compress(b'{"id": "a", "n": 1}\n'))

    house.run(NDJSON)

    assert house.rows("orders") == [{"id": "a", "n": 1}]


def test_a_line_that_is_no_object_is_set_aside_as_it_was(house: Any) -> None:
    lines = ['{"id": "a", "n": 1}', '{"broken', "[1]", "5", '{"id": "b", "n": "many"}']
    house.write("in/1.ndjson", "\n".join(lines))

    [report] = house.run(NDJSON)

    assert (report.rows.read, report.rows.written, report.rows.quarantined) == (5, 1, 4)
    aside = {
        json.loads(r["original"])["line"]: r["reasons"] for r in house.rows("orders_quarantine")
    }
    assert aside == {
        '{"broken': "it is no JSON object",
        "[1]": "it is no JSON object",
        "5": "it is no JSON object",
        '{"id": "b", "n": "many"}': "n is no integer",
    }
    assert {
        Path(json.loads(r["original"])["file"]).name for r in house.rows("orders_quarantine")
    } == {"1.ndjson"}


def test_an_array_has_a_row_for_each_item(house: Any) -> None:
    house.write("in/1.json", json.dumps([{"id": "a", "n": 1}, {"id": "b"}]))

    house.run(NDJSON.replace("ndjson*", "json"))

    assert house.rows("orders") == [{"id": "a", "n": 1}, {"id": "b", "n": None}]


def test_columns_of_csv_are_found_by_their_names_in_every_file(house: Any) -> None:
    house.write("in/1.csv", 'id,n\na,1\n"b, c",\n')
    house.write("in/2.csv", "\ufeffn,id,more\n3,d,x\n")

    house.run(CSV)

    assert house.rows("orders") == [
        {"id": "a", "n": "1", "more": None},
        {"id": "b, c", "n": None, "more": None},
        {"id": "d", "n": "3", "more": "x"},
    ]


def test_columns_of_csv_may_have_types_and_other_names(house: Any) -> None:
    house.write("in/1.csv", "Id;N o\na;1\nb;x\n")
    columns = (
        'separator: ";"\n        columns: {id: {type: text, at: /Id}, n: {type: integer, at: /N o}}'
    )

    [report] = house.run(CSV.replace("format: csv", columns))

    assert report.rows.quarantined == 1
    assert house.rows("orders") == [{"id": "a", "n": 1}]


def test_parquet_keeps_its_types(house: Any) -> None:
    table = pa.table({"id": ["a"], "at": pa.array([0], pa.timestamp("us", tz="UTC"))})
    pq.write_table(table, house.write("in/1.parquet", b""))

    house.run(PARQUET.replace("        {}\n", ""))

    assert house.lake.table("orders").snapshot().schema == table.schema


def test_a_file_that_changed_after_it_was_read_is_an_error(house: Any) -> None:
    house.write("in/1.ndjson", '{"id": "a", "n": 1}\n')
    house.run(NDJSON)
    house.write("in/1.ndjson", '{"id": "a", "n": 1}\n{"id": "b", "n": 2}\n')

    with pytest.raises(FileChanged, match=r"1\.ndjson"):
        house.run(NDJSON)

    assert len(house.rows("orders")) == 1


def test_a_file_that_is_gone_after_it_was_read_is_not_missed(house: Any) -> None:
    file = house.write("in/1.ndjson", '{"id": "a", "n": 1}\n')
    house.run(NDJSON)
    file.unlink()

    assert house.run(NDJSON)[0].rows.read == 0
    assert len(house.rows("orders")) == 1


def test_files_outside_of_the_folder_are_never_read(house: Any, tmp_path: Path) -> None:
    (tmp_path / "secret.ndjson").write_text('{"id": "secret", "n": 1}\n')
    (house.files / "in").mkdir()
    (house.files / "in" / "link.ndjson").symlink_to(tmp_path / "secret.ndjson")

    assert house.run(NDJSON)[0].rows.read == 0
    for pattern in ("../*.ndjson", "/etc/*.ndjson", "in/../../*.ndjson"):
        with pytest.raises(WrongDocument, match="leads out of the folder"):
            house.run(NDJSON.replace("in/*.ndjson*", pattern))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in/1.ndjson.gz", gzip.compress(b'{"id": "a"}\n' * 1000)[:40]),
        ("in/1.ndjson.gz", b"no gzip"),
    ],
    ids=["cut-off", "other"],
)
def test_a_broken_archive_ends_the_run(house: Any, name: str, content: bytes) -> None:
    house.write(name, content)

    with pytest.raises(QueryFailed, match=r"pipeline.yaml:5:3: source files: "):
        house.run(NDJSON)

    assert house.lake.names() == []


def test_a_torn_parquet_file_ends_the_run(house: Any) -> None:
    house.write("in/1.parquet", b"PAR1")

    with pytest.raises(BrokenFile, match=r"1\.parquet"):
        house.run(PARQUET.replace("        {}\n", ""))


def test_a_torn_array_ends_the_run(house: Any) -> None:
    house.write("in/1.json", '[{"id": "a", "n": 1}, {"id"')

    with pytest.raises(QueryFailed, match=r"1\.json"):
        house.run(NDJSON.replace("ndjson*", "json"))


@pytest.mark.parametrize(
    "wrong",
    [
        ("columns: {id: text, n: integer}", "format: ndjson"),
        ("in/*.ndjson*", "in/*"),
        ("in/*.ndjson*", "in/*.parquet"),
        ('["in/*.ndjson*"]', "[]"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(house: Any, wrong: tuple[str, str]) -> None:
    with pytest.raises(WrongDocument):
        house.run(NDJSON.replace(*wrong))
