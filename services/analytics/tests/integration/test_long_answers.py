"""Answers that are too long to be held are streamed, whole or not at all."""

import csv
import io
from collections.abc import Callable, Iterator

import httpx2
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from triptych.analytics.entrypoints.http import create_analytics
from triptych.analytics.settings import AnalyticsSettings, QuerySettings
from triptych.analytics.wiring import wire
from triptych.lake.lake import Lake
from triptych.testing.processes import running

Commit = Callable[[Lake, str, pa.Table], int]


@pytest.fixture
def numbers(
    lake: Lake, commit: Commit, settings_of: Callable[..., AnalyticsSettings]
) -> Iterator[TestClient]:
    """A table of 150,000 numbers; pages have a thousand rows at most."""
    rows = pa.table({"n": range(150_000), "name": [f"name {n % 7}" for n in range(150_000)]})
    commit(lake, "numbers", rows)
    query = QuerySettings(rows=1000, export_rows=200_000, stream_bytes=4_000_000)
    with wire(settings_of(query=query)) as wiring, TestClient(create_analytics(wiring)) as client:
        yield client


NUMBERS = "/v1/tables/numbers/rows"


@pytest.mark.parametrize("suffix", ["csv", "ndjson", "arrow", "parquet"])
@pytest.mark.parametrize("rows", [1001, 120_000, 200_000])
def test_a_long_answer_is_streamed_and_has_every_row(
    numbers: TestClient, suffix: str, rows: int
) -> None:
    headers = {"Accept-Encoding": "gzip" if rows == 120_000 else "identity"}

    answer = numbers.get(f"{NUMBERS}.{suffix}?order=n&columns=n&limit={rows}", headers=headers)

    assert (answer.status_code, answer.headers["x-cache"]) == (200, "STREAM")
    assert "content-length" not in answer.headers
    assert read(answer.content, suffix) == list(range(min(rows, 150_000)))
    assert ("next" in answer.links) == (rows < 150_000)


def read(body: bytes, suffix: str) -> list[int]:
    """The numbers in an answer."""
    match suffix:
        case "csv":
            return [int(row["n"]) for row in csv.DictReader(io.StringIO(body.decode()))]
        case "ndjson":
            return [orjson.loads(line)["n"] for line in body.splitlines()]
        case "arrow":
            found: list[int] = pa.ipc.open_stream(body).read_all()["n"].to_pylist()
            return found
        case _:
            numbers: list[int] = pq.read_table(io.BytesIO(body))["n"].to_pylist()
            return numbers


def test_a_walk_through_long_answers_misses_nothing(numbers: TestClient) -> None:
    address, found = f"{NUMBERS}.csv?order=-name,n&limit=40000", []
    while address:
        answer = numbers.get(address)
        found += read(answer.content, "csv")
        address = answer.links.get("next", {}).get("url", "")

    assert len(found) == 150_000
    assert set(found) == set(range(150_000))
    assert answer.links["prev"]


def test_a_long_answer_is_the_same_bytes_each_time_and_need_not_be_sent_twice(
    numbers: TestClient,
) -> None:
    address = f"{NUMBERS}.parquet?order=n&limit=100000"
    one, two = numbers.get(address), numbers.get(address)

    again = numbers.get(address, headers={"If-None-Match": one.headers["etag"]})
    head = numbers.head(address)

    assert one.content == two.content
    assert (again.status_code, head.status_code, head.content) == (304, 200, b"")
    assert head.headers["etag"] == one.headers["etag"]


def test_a_long_answer_that_is_too_long_is_broken_off(
    lake: Lake, commit: Commit, environment: dict[str, str]
) -> None:
    commit(lake, "numbers", pa.table({"n": range(150_000)}))
    settings = {**environment, "TRIPTYCH_QUERY__STREAM_BYTES": "500000"}
    plain = {"Accept-Encoding": "identity"}

    with running("analytics", settings) as service, pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(f"{service.url}{NUMBERS}.ndjson?limit=200000", headers=plain)


def test_a_long_answer_that_cannot_begin_is_a_problem(numbers: TestClient) -> None:
    answer = numbers.get(f"{NUMBERS}.csv?limit=5000&where=n = 'x'")

    assert answer.status_code == 400
