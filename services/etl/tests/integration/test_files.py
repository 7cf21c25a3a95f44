"""The source `files`: each file is read once, whatever it is and wherever."""

import gzip
import io
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs

from triptych.core.documents import WrongDocument
from triptych.etl.application.ports import QueryFailed
from triptych.etl.infrastructure.sources.files import BrokenFile, FileChanged
from triptych.etl.infrastructure.storage import DownloadTooLarge, StorageAway

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


@dataclass(frozen=True)
class Folder:
    """Files below a folder."""

    house: Any

    def run(self, text: str) -> Any:
        """Run a pipeline over them."""
        return self.house.run(text)

    def write(self, name: str, content: str | bytes) -> None:
        """Make a file."""
        self.house.write(name, content)

    def remove(self, name: str) -> None:
        """Remove one."""
        (self.house.files / name).unlink()

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table."""
        rows: list[dict[str, Any]] = self.house.rows(table)
        return rows


@dataclass(frozen=True)
class Bucket(Folder):
    """The same files as objects, in storage that speaks S3."""

    system: Any = None
    endpoint: str = ""

    def run(self, text: str, more: str = "") -> Any:
        """Run a pipeline over them, with more said of the storage."""
        text = text.replace('"in/', '"s3://shop/in/').replace(
            '"]\n',
            f'"]\n        storage: {{endpoint: "{self.endpoint}", region: us-east-1, '
            f'access_key: "${{KEY}}", secret_key: "${{KEY}}"{more}}}\n',
        )
        return self.house.run(text, KEY="s3cret")

    def write(self, name: str, content: str | bytes) -> None:
        """Make an object."""
        with self.system.open_output_stream(f"shop/{name}", compression=None) as stream:
            stream.write(content.encode() if isinstance(content, str) else content)

    def remove(self, name: str) -> None:
        """Remove one."""
        self.system.delete_file(f"shop/{name}")


@pytest.fixture
def bucket(house: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket, and a folder for temporary files of its own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    httpx2.post(f"{endpoint}/moto-api/reset", trust_env=False).raise_for_status()
    system = fs.S3FileSystem(
        access_key="s3cret",
        secret_key="s3cret",
        region="us-east-1",
        endpoint_override=endpoint,
        allow_bucket_creation=True,
    )
    system.create_dir("shop")
    yield Bucket(house, system, endpoint)
    server.stop()


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, house: Any) -> Folder:
    """Where files are."""
    if request.param == "folder":
        return Folder(house)
    found: Folder = request.getfixturevalue("bucket")
    return found


def test_each_file_is_read_once(place: Folder) -> None:
    place.write("in/1.ndjson", '{"id": "a", "n": 1}\n\n{"id": "b", "n": 2}')
    [first] = place.run(NDJSON)
    place.write("in/2.ndjson", '{"id": "c", "n": 3}\n')

    [second] = place.run(NDJSON)
    [third] = place.run(NDJSON)

    assert [report.rows.read for report in (first, second, third)] == [2, 1, 0]
    assert [row["id"] for row in place.rows("orders")] == ["a", "b", "c"]


def test_packed_files_are_unpacked(place: Folder) -> None:
    place.write("in/1.ndjson.gz", gzip.compress(b'{"id": "a", "n": 1}\n'))

    place.run(NDJSON)

    assert place.rows("orders") == [{"id": "a", "n": 1}]


def test_a_line_that_is_no_object_is_set_aside_as_it_was(place: Folder) -> None:
    lines = ['{"id": "a", "n": 1}', '{"broken', "[1]", "5", '{"id": "b", "n": "many"}']
    place.write("in/1.ndjson", "\n".join(lines))

    [report] = place.run(NDJSON)

    assert (report.rows.read, report.rows.written, report.rows.quarantined) == (5, 1, 4)
    aside = {
        json.loads(r["original"])["line"]: r["reasons"] for r in place.rows("orders_quarantine")
    }
    assert aside == {
        '{"broken': "it is no JSON object",
        "[1]": "it is no JSON object",
        "5": "it is no JSON object",
        '{"id": "b", "n": "many"}': "n is no integer",
    }
    assert {
        Path(json.loads(r["original"])["file"]).name for r in place.rows("orders_quarantine")
    } == {"1.ndjson"}


def test_an_array_has_a_row_for_each_item(place: Folder) -> None:
    place.write("in/1.json", json.dumps([{"id": "a", "n": 1}, {"id": "b"}]))

    place.run(NDJSON.replace("ndjson*", "json"))

    assert place.rows("orders") == [{"id": "a", "n": 1}, {"id": "b", "n": None}]


def test_columns_of_csv_are_found_by_their_names_in_every_file(place: Folder) -> None:
    place.write("in/1.csv", 'id,n\na,1\n"b, c",\n')
    place.write("in/2.csv", "\ufeffn,id,more\n3,d,x\n")

    place.run(CSV)

    assert place.rows("orders") == [
        {"id": "a", "n": "1", "more": None},
        {"id": "b, c", "n": None, "more": None},
        {"id": "d", "n": "3", "more": "x"},
    ]


def test_columns_of_csv_may_have_types_and_other_names(place: Folder) -> None:
    place.write("in/1.csv", "Id;N o\na;1\nb;x\n")
    columns = (
        'separator: ";"\n        columns: {id: {type: text, at: /Id}, n: {type: integer, at: /N o}}'
    )

    [report] = place.run(CSV.replace("format: csv", columns))

    assert report.rows.quarantined == 1
    assert place.rows("orders") == [{"id": "a", "n": 1}]


def test_parquet_keeps_its_types(place: Folder) -> None:
    table = pa.table({"id": ["a"], "at": pa.array([0], pa.timestamp("us", tz="UTC"))})
    pq.write_table(table, packed := io.BytesIO())
    place.write("in/1.parquet", packed.getvalue())

    place.run(PARQUET.replace("        {}\n", ""))

    assert place.house.lake.table("orders").snapshot().schema == table.schema


def test_a_file_that_changed_after_it_was_read_is_an_error(place: Folder) -> None:
    place.write("in/1.ndjson", '{"id": "a", "n": 1}\n')
    place.run(NDJSON)
    place.write("in/1.ndjson", '{"id": "a", "n": 1}\n{"id": "b", "n": 2}\n')

    with pytest.raises(FileChanged, match=r"1\.ndjson"):
        place.run(NDJSON)

    assert len(place.rows("orders")) == 1


def test_a_file_that_is_gone_after_it_was_read_is_not_missed(place: Folder) -> None:
    place.write("in/1.ndjson", '{"id": "a", "n": 1}\n')
    place.run(NDJSON)
    place.remove("in/1.ndjson")

    assert place.run(NDJSON)[0].rows.read == 0
    assert len(place.rows("orders")) == 1


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
def test_a_broken_archive_ends_the_run(place: Folder, name: str, content: bytes) -> None:
    place.write(name, content)

    with pytest.raises(QueryFailed, match=r"pipeline.yaml:5:3: source files: "):
        place.run(NDJSON)

    assert place.house.lake.names() == []


def test_a_torn_parquet_file_ends_the_run(place: Folder) -> None:
    place.write("in/1.parquet", b"PAR1")

    with pytest.raises(BrokenFile, match=r"1\.parquet"):
        place.run(PARQUET.replace("        {}\n", ""))


def test_a_torn_array_ends_the_run(place: Folder) -> None:
    place.write("in/1.json", '[{"id": "a", "n": 1}, {"id"')

    with pytest.raises(QueryFailed, match=r"1\.json"):
        place.run(NDJSON.replace("ndjson*", "json"))


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


def test_objects_are_called_by_their_urls(bucket: Bucket) -> None:
    bucket.write("in/1.ndjson", "[1]")
    bucket.run(NDJSON)
    [aside] = bucket.rows("orders_quarantine")
    bucket.write("in/2.parquet", b"PAR1")

    with pytest.raises(BrokenFile, match=r"'s3://shop/in/2\.parquet'"):
        bucket.run(PARQUET.replace("        {}\n", "").replace("name: orders", "name: others"))
    bucket.write("in/3.json", '[{"id"')
    with pytest.raises(QueryFailed, match=r"s3://shop/in/3\.json"):
        bucket.run(NDJSON.replace("ndjson*", "json").replace("name: orders", "name: arrays"))

    assert json.loads(aside["original"])["file"] == "s3://shop/in/1.ndjson"


def test_nothing_stays_of_what_was_downloaded(bucket: Bucket, tmp_path: Path) -> None:
    bucket.write("in/1.ndjson", '{"id": "a", "n": 1}\n')
    bucket.run(NDJSON)

    assert bucket.rows("orders") == [{"id": "a", "n": 1}]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_objects_and_files_are_read_together(bucket: Bucket) -> None:
    bucket.write("in/1.ndjson", '{"id": "a", "n": 1}\n')
    bucket.house.write("local/1.ndjson", '{"id": "b", "n": 2}\n')

    bucket.run(NDJSON.replace('["in', '["local/*.ndjson", "in'))

    assert [row["id"] for row in bucket.rows("orders")] == ["a", "b"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("in/*.ndjson", ["a"]),
        ("in/**/*.ndjson", ["a", "b", "c"]),
        ("in/x/?.ndjson", ["b"]),
        ("in/[xz]/**/1.ndjson", ["b", "c"]),
        ("in/1.ndjson", ["a"]),
    ],
)
def test_patterns_of_objects_mean_what_those_of_files_do(
    place: Folder, pattern: str, found: list[str]
) -> None:
    for name, key in (("a", "in/1"), ("b", "in/x/1"), ("c", "in/x/y/1"), ("d", "ins/1")):
        place.write(f"{key}.ndjson", json.dumps({"id": name, "n": 1}))

    place.run(NDJSON.replace("in/*.ndjson*", pattern))

    assert [row["id"] for row in place.rows("orders")] == found


def test_more_than_is_allowed_is_not_downloaded(bucket: Bucket) -> None:
    bucket.write("in/1.ndjson", '{"id": "a", "n": 1}\n')

    with pytest.raises(DownloadTooLarge, match="20 bytes; allowed are 19"):
        bucket.run(NDJSON, ", max_bytes: 19")


def test_storage_that_cannot_be_read_is_away(bucket: Bucket) -> None:
    with pytest.raises(StorageAway, match=r"s3://nowhere: .*NO_SUCH_BUCKET") as raised:
        bucket.run(NDJSON.replace('"in/', '"s3://nowhere/').replace("in/*", "*"))

    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "pattern", ["s3://shop", "s3://*/a.ndjson", "s3:///a.ndjson", "s3://a/../b.ndjson"]
)
def test_a_pattern_that_names_no_object_is_refused(house: Any, pattern: str) -> None:
    with pytest.raises(WrongDocument, match="s3://"):
        house.run(NDJSON.replace("in/*.ndjson*", pattern))


@pytest.mark.parametrize("line", ["1,2,3", "1", '"1,2'])
def test_a_row_of_csv_that_is_not_like_the_others_fails_the_run(place: Folder, line: str) -> None:
    whole = "id,n\n" + "".join(f"{n},{n}\n" for n in range(1000))
    place.write("in/1.csv", whole)
    place.write("in/2.csv", f"{whole}{line}\n")

    with pytest.raises(QueryFailed, match=r"Line: 1002.*2\.csv"):
        place.run(CSV)


def test_no_row_of_csv_is_taken_for_a_comment_or_a_heading(place: Folder) -> None:
    place.write("in/1.csv", "id,n\n#1,2\n\n// 3,4\nid,n\n")

    place.run(CSV)

    assert {row["id"] for row in place.rows("orders")} == {"#1", "// 3", "id"}
