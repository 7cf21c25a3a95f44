"""The sink `files`: each run is one more file, and none is ever half a file."""

import csv
import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from triptych.core.documents import WrongDocument
from triptych.etl.infrastructure.sinks.files import FilesAway

PIPELINE = """
    version: 1
    name: orders
    source:
      files: { paths: ["in/*.ndjson"], columns: {id: text, n: integer, at: timestamptz} }
    sink:
      files: { folder: out, format: FORMAT }
"""
FIRST = '{"id": "=1+1", "n": -1, "at": "2030-01-01T12:00:00Z"}\n{"id": null, "n": null}\n'


def files(house: Any, pattern: str) -> list[Any]:
    return sorted((house.files / "out").glob(pattern))


def test_a_run_is_one_more_file(house: Any) -> None:
    text = PIPELINE.replace("FORMAT", "parquet")
    house.write("in/1.ndjson", FIRST)
    house.run(text)
    house.write("in/2.ndjson", '{"id": "b", "n": 2}\n')
    house.run(text)
    house.run(text)

    written = files(house, "*.parquet")

    assert [path.name for path in written] == [
        "orders-00000000000000000000-00000000000000000001.parquet",
        "orders-00000000000000000001-00000000000000000002.parquet",
    ]
    assert [pq.read_table(path).num_rows for path in written] == [2, 1]
    assert not list((house.files / "out" / ".staging").glob("*/*"))


def test_text_that_a_spreadsheet_would_compute_is_guarded(house: Any) -> None:
    house.write("in/1.ndjson", FIRST)

    house.run(PIPELINE.replace("FORMAT", "csv"))

    [file] = files(house, "*.csv")
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [row["id"] for row in rows] == ["'=1+1", ""]
    assert [row["n"] for row in rows] == ["-1", ""]
    assert rows[0]["at"].startswith("2030-01-01 12:00:00")


def test_a_line_is_an_object(house: Any) -> None:
    house.write("in/1.ndjson", FIRST)

    house.run(PIPELINE.replace("FORMAT", "ndjson"))

    [file] = files(house, "*.ndjson")
    first, second = map(json.loads, file.read_text().splitlines())
    assert (first["id"], first["n"]) == ("=1+1", -1)
    assert second == {"id": None, "n": None, "at": None}


def test_a_file_can_take_the_place_of_all(house: Any) -> None:
    text = PIPELINE.replace("FORMAT }", "parquet, mode: replace }").replace(
        "name: orders", "name: orders\n    refresh: full"
    )
    house.write("in/1.ndjson", FIRST)
    house.run(text)
    house.write("in/2.ndjson", '{"id": "b", "n": 2}\n')

    house.run(text)

    [file] = files(house, "*.parquet")
    assert pq.read_table(file).num_rows == 3


def test_no_folder_leads_out_of_the_folder_of_files(house: Any) -> None:
    with pytest.raises(WrongDocument, match="leads out of the folder"):
        house.run(PIPELINE.replace("FORMAT", "csv").replace("out", "../out"))


def test_a_folder_that_cannot_be_is_an_error(house: Any) -> None:
    house.write("in/1.ndjson", FIRST)
    house.write("out", "a file")

    with pytest.raises(FilesAway, match="out"):
        house.run(PIPELINE.replace("FORMAT", "csv"))
