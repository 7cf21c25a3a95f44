"""A body is read and unpacked up to a limit, and no further."""

import asyncio
import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest
from fastapi import APIRouter, Request
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive

from triptych.core.errors import TriptychError
from triptych.service.app import create_app
from triptych.service.body import (
    CHUNK_BYTES,
    BodyTooLarge,
    BrokenBody,
    SlowBody,
    UnknownEncoding,
    read_body,
    stream_body,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LIMIT = 10
MUCH = 100 * 1024 * 1024

PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}
encodings = st.lists(st.sampled_from(["gzip", "zstd"]), max_size=2)


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A client of a service that answers with what it was sent, if that is within the limit."""
    router = APIRouter()

    @router.post("/echo")
    async def echo(request: Request) -> str:
        return (await read_body(request, limit=LIMIT, seconds=30)).decode()

    app = create_app(title="Echo", description="", version="1", routers=[router], probes={})
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def arriving(packets: list[bytes]) -> Receive:
    """What a server hands on when these come."""
    messages = iter(
        [
            *({"type": "http.request", "body": p, "more_body": True} for p in packets),
            {"type": "http.request", "body": b"", "more_body": False},
        ]
    )

    async def receive() -> Message:
        return next(messages)

    return receive


def a_request(receive: Receive, **headers: str) -> Request:
    raw = [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()]
    return Request({"type": "http", "headers": raw}, receive)


def chunks_of(request: Request, *, limit: int, seconds: float = 30) -> list[bytes]:
    async def read() -> list[bytes]:
        return [chunk async for chunk in stream_body(request, limit=limit, seconds=seconds)]

    return asyncio.run(read())


def packed(data: bytes, names: list[str]) -> bytes:
    for name in names:
        data = PACK[name](data)
    return data


@pytest.mark.parametrize("size", [0, 1, LIMIT])
def test_a_body_within_the_limit_is_read_whole(client: TestClient, size: int) -> None:
    answer = client.post("/echo", content=b"x" * size)

    assert answer.json() == "x" * size


def test_a_body_in_chunks_is_put_together(client: TestClient) -> None:
    answer = client.post("/echo", content=iter([b"to", b"get", b"her"]))

    assert answer.json() == "together"


@pytest.mark.parametrize(
    "chunks",
    [[b"x" * (LIMIT + 1)], [b"x" * LIMIT, b"x"], [b"x"] * (LIMIT + 1)],
    ids=["at-once", "in-two-chunks", "byte-by-byte"],
)
def test_a_body_beyond_the_limit_is_answered_with_413(
    client: TestClient, chunks: list[bytes]
) -> None:
    content = chunks[0] if len(chunks) == 1 else iter(chunks)

    answer = client.post("/echo", content=content)

    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:triptych:problem:body-too-large"
    assert answer.json()["detail"] == f"it has more than {LIMIT} bytes"


def test_what_lies_beyond_the_limit_is_never_read() -> None:
    sent = []

    async def endless() -> Message:
        sent.append(b"xxxx")
        return {"type": "http.request", "body": sent[-1], "more_body": True}

    with pytest.raises(BodyTooLarge):
        chunks_of(a_request(endless), limit=LIMIT)

    assert len(sent) == 3


@pytest.mark.parametrize("encoding", ["", "identity", "gzip"])
def test_a_body_that_says_it_is_beyond_the_limit_is_never_read(encoding: str) -> None:
    async def nothing() -> Message:
        raise AssertionError("it was read")

    request = a_request(nothing, content_length="1000000", content_encoding=encoding)

    with pytest.raises(BodyTooLarge):
        chunks_of(request, limit=LIMIT)


@given(st.binary(max_size=300_000), encodings, st.integers(1, 100_000))
def test_what_was_packed_is_unpacked_whatever_the_packets(
    data: bytes, names: list[str], size: int
) -> None:
    body = packed(data, names)
    packets = [body[i : i + size] for i in range(0, len(body), size)]
    request = a_request(arriving(packets), content_encoding=", ".join(names))

    chunks = chunks_of(request, limit=len(data))

    assert b"".join(chunks) == data
    assert all(chunks)
    assert not names or all(len(chunk) <= CHUNK_BYTES for chunk in chunks)


@pytest.mark.parametrize("field", ["x-gzip", "GZip", "identity, gzip", " gzip ,", "gzip,identity"])
def test_an_encodings_name_may_be_written_in_many_ways(field: str) -> None:
    request = a_request(arriving([gzip.compress(b"book")]), content_encoding=field)

    assert chunks_of(request, limit=LIMIT) == [b"book"]


def test_encodings_in_several_fields_are_as_in_one(client: TestClient) -> None:
    fields = [("Content-Encoding", "gzip"), ("Content-Encoding", "zstd")]

    answer = client.post("/echo", content=packed(b"book", ["gzip", "zstd"]), headers=fields)

    assert answer.json() == "book"


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_several_packed_pieces_in_a_row_are_one_body(name: str) -> None:
    body = PACK[name](b"to") + PACK[name](b"") + PACK[name](b"gether")

    chunks = chunks_of(a_request(arriving([body]), content_encoding=name), limit=LIMIT)

    assert b"".join(chunks) == b"together"


@pytest.mark.parametrize("names", [["gzip"], ["zstd"], ["gzip", "gzip"], ["zstd", "gzip"]])
@pytest.mark.parametrize("size", [LIMIT + 1, 10 * CHUNK_BYTES])
def test_the_limit_counts_what_is_unpacked(names: list[str], size: int) -> None:
    body = packed(b"x" * size, names)

    with pytest.raises(BodyTooLarge):
        chunks_of(a_request(arriving([body]), content_encoding=",".join(names)), limit=LIMIT)


@pytest.mark.parametrize(
    "names", [["gzip"], ["zstd"], ["gzip", "gzip"], ["zstd", "zstd"], ["gzip", "zstd"]]
)
def test_a_bomb_takes_no_more_memory_than_a_few_chunks(names: list[str]) -> None:
    body = packed(bytes(MUCH), names)
    request = a_request(arriving([body]), content_encoding=",".join(names))

    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            asyncio.run(read_body(request, limit=1024, seconds=30))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 10 * CHUNK_BYTES


def test_what_unpacks_to_nothing_is_counted_too() -> None:
    body = packed(gzip.compress(b"") * 100_000, ["gzip"])
    request = a_request(arriving([body]), content_encoding="gzip, gzip")

    with pytest.raises(BodyTooLarge):
        chunks_of(request, limit=LIMIT)


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("gzip", gzip.compress(b"book")[:-1]),
        ("gzip", gzip.compress(b"book") + b"rubbish"),
        ("gzip", gzip.compress(b"book")[:-8] + bytes(8)),
        ("gzip", zlib.compress(b"book")),
        ("gzip", b"book"),
        ("gzip", b""),
        ("zstd", zstd.compress(b"book")[:-1]),
        ("zstd", zstd.compress(b"book") + b"rubbish"),
        ("zstd", b"book"),
        ("zstd", b""),
        ("gzip, gzip", packed(gzip.compress(b"book")[:-1], ["gzip"])),
        ("gzip, zstd", packed(b"book", ["zstd", "gzip"])),
    ],
    ids=[
        *("gzip-cut-off", "gzip-and-more", "gzip-damaged", "gzip-but-zlib", "no-gzip", "no-bytes"),
        *("zstd-cut-off", "zstd-and-more", "no-zstd", "no-bytes-of-zstd"),
        *("cut-off-below", "another-order"),
    ],
)
def test_a_body_that_is_not_what_its_encoding_says_is_refused(field: str, body: bytes) -> None:
    with pytest.raises(BrokenBody):
        chunks_of(a_request(arriving([body]), content_encoding=field), limit=LIMIT)


def test_zstd_may_not_ask_for_more_memory_than_every_decoder_has() -> None:
    data = bytes(32 * 1024 * 1024)

    def with_window(log: int) -> bytes:
        return zstd.compress(data, options={zstd.CompressionParameter.window_log: log})

    body = with_window(24)

    with pytest.raises(BrokenBody, match="memory"):
        chunks_of(a_request(arriving([body]), content_encoding="zstd"), limit=len(data))

    body = with_window(23)
    chunks = chunks_of(a_request(arriving([body]), content_encoding="zstd"), limit=len(data))
    assert sum(map(len, chunks)) == len(data)


@pytest.mark.parametrize("field", ["br", "deflate", "compress", "gzip, br", "gzip, gzip, gzip"])
def test_an_unknown_encoding_is_answered_with_the_known_ones(
    client: TestClient, field: str
) -> None:
    answer = client.post("/echo", content=b"book", headers={"Content-Encoding": field})

    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip, zstd"
    assert answer.json()["type"] == "urn:triptych:problem:unknown-encoding"


@pytest.mark.parametrize(
    "dribble", [0.0, 0.01, 60], ids=["steadily", "now-and-then", "not-any-more"]
)
def test_a_body_that_does_not_come_in_time_is_refused(dribble: float) -> None:
    async def trickle() -> Message:
        await asyncio.sleep(dribble)
        return {"type": "http.request", "body": b"", "more_body": True}

    with pytest.raises(SlowBody):
        chunks_of(a_request(trickle), limit=LIMIT, seconds=0.1)


def test_the_time_between_chunks_is_not_the_clients() -> None:
    async def read() -> bytes:
        body = b""
        request = a_request(arriving([b"to", b"gether"]))
        async for chunk in stream_body(request, limit=LIMIT, seconds=0.01):
            await asyncio.sleep(0.05)
            body += chunk
        return body

    assert asyncio.run(read()) == b"together"


def test_others_go_on_while_a_body_is_unpacked() -> None:
    body = gzip.compress(bytes(10 * CHUNK_BYTES))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def read() -> None:
        task = asyncio.ensure_future(other())
        request = a_request(arriving([body]), content_encoding="gzip")
        await read_body(request, limit=10 * CHUNK_BYTES, seconds=30)
        task.cancel()

    asyncio.run(read())

    assert turns >= 10


@pytest.mark.parametrize(
    ("error", "status"),
    [(BodyTooLarge, 413), (UnknownEncoding, 415), (BrokenBody, 400), (SlowBody, 408)],
)
def test_each_error_has_its_status(error: type[TriptychError], status: int) -> None:
    router = APIRouter()

    @router.get("/")
    async def fail() -> None:
        raise error

    app = create_app(title="Fail", description="", version="1", routers=[router], probes={})

    assert TestClient(app).get("/").status_code == status
