"""A body is read up to a limit, and no further."""

import asyncio
from collections.abc import Iterator

import pytest
from fastapi import APIRouter, Request
from fastapi.testclient import TestClient
from starlette.types import Message

from triptych.service.app import create_app
from triptych.service.body import BodyTooLarge, read_body

LIMIT = 10


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A client of a service that answers with what it was sent, if that is within the limit."""
    router = APIRouter()

    @router.post("/echo")
    async def echo(request: Request) -> str:
        return (await read_body(request, LIMIT)).decode()

    app = create_app(title="Echo", description="", version="1", routers=[router], probes={})
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


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
        asyncio.run(read_body(Request({"type": "http"}, endless), LIMIT))

    assert len(sent) == 3
