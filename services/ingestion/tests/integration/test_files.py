"""Candidates from files: every line has an origin, and what is wrong with it."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd

from triptych.core.documents import UnreadableFile
from triptych.core.domain.result import Err, Ok
from triptych.ingestion.application.load import Record
from triptych.ingestion.domain.admission import USUAL, Arrival
from triptych.ingestion.domain.mapping import EventMapping
from triptych.ingestion.infrastructure.files.csv import WrongMapping, read_csv
from triptych.ingestion.infrastructure.files.formats import Format, NoMapping, read_records
from triptych.ingestion.infrastructure.files.ndjson import MAX_LINE_BYTES, read_ndjson
from triptych.ingestion.infrastructure.files.opening import BrokenFile, InputFile, open_input
from triptych.testing.builders import event_json

MAPPING = EventMapping.model_validate(
    {"type": "test.happened", "source": "urn:test", "id": "No", "data": {"city": "City"}}
)

Read = Callable[[InputFile], Iterator[Record]]
READERS: dict[str, Read] = {"ndjson": read_ndjson, "csv": lambda file: read_csv(file, MAPPING)}


def candidates(path: Path, how: str) -> list[Record]:
    with open_input(str(path)) as file:
        return list(READERS[how](file))


def ndjson(path: Path, *lines: bytes) -> list[Record]:
    path.write_bytes(b"\n".join(lines))
    return candidates(path, "ndjson")


def csv(path: Path, *lines: str) -> list[Record]:
    path.write_text("\n".join(lines), "utf-8")
    return candidates(path, "csv")


def line(**members: Any) -> bytes:
    return orjson.dumps(event_json(**members))


def wrong(record: Record) -> tuple[str, str]:
    """What is wrong with a candidate: the rule, and the message."""
    match record.candidate(USUAL).value:
        case Err(violation):
            return violation.keyword, violation.message
        case Ok(value):
            pytest.fail(f"nothing is wrong with {value}")


def test_a_line_of_ndjson_is_a_candidate_with_its_place(tmp_path: Path) -> None:
    found = ndjson(tmp_path / "a.ndjson", line(id="1"), line(id="2"))

    assert found == [
        Record(Arrival(line(id="1"), "a.ndjson:1")),
        Record(Arrival(line(id="2"), "a.ndjson:2")),
    ]


def test_blank_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    found = ndjson(tmp_path / "a.ndjson", b"", b" \t\r", line(), b"", b"")

    assert [candidate.arrival.origin for candidate in found] == ["a.ndjson:3"]


def test_a_broken_line_is_a_candidate_with_its_reason(tmp_path: Path) -> None:
    broken, whole = ndjson(tmp_path / "a.ndjson", b'{"id":', line())

    assert (broken.arrival.raw, broken.arrival.origin) == (b'{"id":', "a.ndjson:1")
    assert wrong(broken)[0] == "json"
    assert whole.candidate(USUAL).value == Ok(event_json())


def test_a_line_that_is_too_long_is_refused_and_the_next_one_read(tmp_path: Path) -> None:
    found = ndjson(tmp_path / "a.ndjson", b"x" * (3 * MAX_LINE_BYTES), line(id="2"))

    assert [candidate.arrival.origin for candidate in found] == ["a.ndjson:1", "a.ndjson:2"]
    assert wrong(found[0])[0] == "max-bytes"
    assert found[1].candidate(USUAL).value == Ok(event_json(id="2"))


def test_a_line_of_just_the_longest_length_is_read(tmp_path: Path) -> None:
    [found] = ndjson(tmp_path / "a.ndjson", line().ljust(MAX_LINE_BYTES - 1) + b"\n")

    assert found.candidate(USUAL).value == Ok(event_json())


def test_a_row_of_csv_is_a_candidate_with_its_place(tmp_path: Path) -> None:
    [found] = csv(tmp_path / "a.csv", "No,City", '7,"Paris, France"')

    assert (found.arrival.raw, found.arrival.origin) == (b'7,"Paris, France"', "a.csv:2")
    assert found.candidate(USUAL).value == Ok(
        {
            "specversion": "1.0",
            "type": "test.happened",
            "source": "urn:test",
            "id": "7",
            "data": {"city": "Paris, France"},
        }
    )


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    assert len(csv(tmp_path / "a.csv", "\ufeffNo,City", "7,Paris")) == 1


def test_empty_rows_are_passed_over(tmp_path: Path) -> None:
    found = csv(tmp_path / "a.csv", "No,City", "", "7,Paris", "")

    assert [candidate.arrival.origin for candidate in found] == ["a.csv:3"]


@pytest.mark.parametrize("row", ["7", "7,Paris,France"])
def test_a_row_with_other_cells_than_the_header_is_refused(tmp_path: Path, row: str) -> None:
    short, whole = csv(tmp_path / "a.csv", "No,City", row, "8,Rome")

    assert (short.arrival.raw, wrong(short)[0]) == (row.encode(), "columns")
    assert isinstance(whole.candidate(USUAL).value, Ok)


def test_a_row_that_is_no_csv_is_refused_and_the_next_one_read(tmp_path: Path) -> None:
    broken, whole = csv(tmp_path / "a.csv", "No,City", '7,"Par"is', "8,Rome")

    assert (broken.arrival.origin, wrong(broken)[0]) == ("a.csv:2", "csv")
    assert (whole.arrival.raw, whole.arrival.origin) == (b"8,Rome", "a.csv:3")


def test_broken_rows_are_kept_as_they_stand_in_the_file(tmp_path: Path) -> None:
    found = csv(tmp_path / "a.csv", "No,City", '7,"Par"is', '8,"Ro"me', "9,Oslo")

    assert [candidate.arrival.raw for candidate in found] == [b'7,"Par"is', b'8,"Ro"me', b"9,Oslo"]


def test_a_row_that_is_not_utf8_is_refused_and_the_next_one_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"No,City\n7,Orl\xe9ans\n8,Rome\n")

    latin, whole = candidates(path, "csv")

    assert (latin.arrival.raw, wrong(latin)[0]) == (b"7,Orl\xe9ans", "utf-8")
    assert isinstance(whole.candidate(USUAL).value, Ok)


def test_a_header_without_a_column_of_the_mapping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongMapping, match=r"'a\.csv' has no column 'City': did you mean 'Citi'\?"):
        csv(tmp_path / "a.csv", "No,Citi", "7,Paris")


def test_an_empty_csv_has_no_columns(tmp_path: Path) -> None:
    with pytest.raises(WrongMapping):
        csv(tmp_path / "a.csv")


@pytest.mark.parametrize("how", READERS)
def test_gzip_reads_like_the_plain_file_whatever_its_name(tmp_path: Path, how: str) -> None:
    content = line(id="1") + b"\n" + line(id="2") if how == "ndjson" else b"No,City\n1,a\n2,b"
    plain, packed = tmp_path / "a" / "x", tmp_path / "b" / "x"
    for path in (plain, packed):
        path.parent.mkdir()
    plain.write_bytes(content)
    packed.write_bytes(gzip.compress(content))

    assert candidates(packed, how) == candidates(plain, how)
    assert len(candidates(plain, how)) == 2


@pytest.mark.parametrize("how", READERS)
@pytest.mark.parametrize("damage", ["cut-off", "flipped"])
def test_a_damaged_gzip_is_an_error_that_names_the_file(
    tmp_path: Path, how: str, damage: str
) -> None:
    packed = bytearray(gzip.compress(line() + b"\n" if how == "ndjson" else b"No,City\n1,a\n"))
    if damage == "cut-off":
        del packed[-6:]
    else:
        packed[-6] ^= 0xFF
    (tmp_path / "a.gz").write_bytes(packed)

    with pytest.raises(BrokenFile, match=r"'a\.gz'"):
        candidates(tmp_path / "a.gz", how)


def test_an_open_file_knows_how_much_of_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(line() + b"\n")

    with open_input(str(path)) as file:
        before = file.done
        list(read_ndjson(file))

        assert (before, file.done, file.size) == (0, path.stat().st_size, path.stat().st_size)


@pytest.mark.parametrize("name", ["missing", "folder"])
def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(UnreadableFile, match=name), open_input(str(tmp_path / name)):
        pass


def records(path: Path, format_: Format | None = None, mapping: bool = False) -> list[Record]:
    with open_input(str(path)) as file:
        return list(read_records(file, MAPPING if mapping else None, format_))


EVENTS = [event_json(id=str(n), data={"n": n}) for n in range(3)]
LINES = b"".join(orjson.dumps(event) + b"\n" for event in EVENTS)


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def found(path: Path, mapping: bool = False) -> list[object]:
    """The events of a file that says itself what it is."""
    values = []
    for record in records(path, mapping=mapping):
        match record.candidate(USUAL).value:
            case Ok(value):
                values.append(value)
            case Err(violation):
                pytest.fail(str(violation))
    return values


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress], ids=["plain", "gz", "zst"])
@pytest.mark.parametrize("content", [LINES, orjson.dumps(EVENTS)], ids=["ndjson", "array"])
def test_events_are_the_same_in_every_format_and_packing(
    tmp_path: Path, content: bytes, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "events").write_bytes(pack(content))

    assert found(tmp_path / "events") == EVENTS


def test_columns_of_parquet_are_attributes(tmp_path: Path) -> None:
    rows = [{**event, "data": orjson.dumps(event["data"]).decode()} for event in EVENTS]
    write_parquet(tmp_path / "events", rows)
    write_parquet(tmp_path / "nested", EVENTS)

    assert found(tmp_path / "events") == found(tmp_path / "nested") == EVENTS


def test_parquet_may_have_a_mapping(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a", [{"No": 7, "City": "Paris"}, {"No": 8, "City": None}])

    [paris, nowhere] = found(tmp_path / "a", mapping=True)

    assert isinstance(paris, dict)
    assert isinstance(nowhere, dict)
    assert (paris["id"], paris["data"], nowhere["data"]) == ("7", {"city": "Paris"}, {})


def test_a_parquet_file_that_is_cut_off_is_broken(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a", EVENTS)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-10])

    with pytest.raises(BrokenFile, match="'a'"):
        records(tmp_path / "a")


def test_an_array_that_breaks_off_is_read_up_to_there(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(orjson.dumps(EVENTS)[:-20])
    origins: list[str] = []

    with (
        open_input(str(tmp_path / "a.json")) as file,
        pytest.raises(BrokenFile, match=r"'a\.json', after 2 members"),
    ):
        origins.extend(record.arrival.origin for record in read_records(file, None, None))

    assert origins == ["a.json:[0]", "a.json:[1]"]


def test_a_whole_number_of_an_array_is_never_rounded(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"[18446744073709551616]")

    [record] = records(tmp_path / "a.json")

    assert record.arrival.raw == b"18446744073709551616"


def test_what_a_file_is_may_be_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(LINES)

    assert len(records(tmp_path / "a.csv", Format.NDJSON)) == 3
    with pytest.raises(NoMapping, match=r"a\.csv"):
        records(tmp_path / "a.csv")
