"""Every error is a problem document, whoever raises it."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from structlog.testing import capture_logs

from triptych.core.errors import Kind, TriptychError
from triptych.service.app import create_app

STATUSES = {
    Kind.MALFORMED: 400,
    Kind.INVALID: 422,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.GONE: 410,
    Kind.CONFLICT: 409,
    Kind.TOO_LARGE: 413,
    Kind.UNSUPPORTED: 415,
    Kind.NOT_ACCEPTABLE: 406,
    Kind.TOO_SLOW: 408,
    Kind.LIMITED: 429,
    Kind.TIMED_OUT: 504,
    Kind.UNAVAILABLE: 503,
    Kind.FAILED: 500,
}

_TROUBLE = {"__doc__": "The shelf is in trouble.", "hint": "Ask the librarian."}
TROUBLES = {
    kind: type("ShelfTrouble", (TriptychError,), {**_TROUBLE, "kind": kind}) for kind in Kind
}


class Book(BaseModel):
    """What can be put on a shelf."""

    title: str
    pages: int


def shelves() -> APIRouter:
    """A router that can go wrong in every way."""
    router = APIRouter()

    @router.get("/troubles/{kind}")
    def trouble(kind: Kind) -> None:
        raise TROUBLES[kind]("shelf 'blue'")

    @router.get("/crash")
    def crash() -> None:
        raise RuntimeError("canary")

    @router.get("/forbidden")
    def forbidden() -> None:
        raise HTTPException(403, "Readers may not enter.", {"X-Door": "closed"})

    @router.get("/shelves/{shelf}")
    def shelf(shelf: int, limit: int = 10) -> list[int]:
        return [shelf, limit]

    @router.post("/shelves")
    def put(book: Book) -> Book:
        return book

    return router


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A client of the shelves; what they log goes nowhere."""
    app = create_app(title="Shelves", description="", version="1", routers=[shelves()], probes={})
    with capture_logs(), TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("kind", Kind)
def test_an_error_of_each_kind_has_its_status(client: TestClient, kind: Kind) -> None:
    answer = client.get(f"/troubles/{kind}")

    assert answer.status_code == STATUSES[kind]


def test_a_problem_says_what_happened_with_which_values_and_what_to_do_next(
    client: TestClient,
) -> None:
    answer = client.get("/troubles/conflict")

    assert answer.json() == {
        "type": "urn:triptych:problem:shelf-trouble",
        "title": "The shelf is in trouble.",
        "status": 409,
        "detail": "shelf 'blue'",
        "hint": "Ask the librarian.",
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/troubles/not_found", 404),
        ("GET", "/no/such/path", 404),
        ("DELETE", "/shelves/1", 405),
        ("BREW", "/shelves/1", 405),
        ("GET", "/shelves/blue", 422),
        ("POST", "/shelves", 422),
        ("GET", "/forbidden", 403),
        ("GET", "/crash", 500),
    ],
)
def test_every_error_is_a_problem_document(
    client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document.keys() == {"type", "title", "status", "detail", "hint"}
    assert document["type"].startswith("urn:triptych:problem:")
    assert document["title"]
    assert document["status"] == status


def test_a_wrong_method_is_answered_with_the_right_ones(client: TestClient) -> None:
    answer = client.delete("/shelves/1")

    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/shelves/blue", ["shelf"]),
        ("/shelves/1?limit=many", ["limit"]),
        ("/shelves/blue?limit=many", ["shelf", "limit"]),
    ],
)
def test_each_wrong_parameter_is_named(client: TestClient, path: str, names: list[str]) -> None:
    answer = client.get(path)

    assert answer.json()["type"] == "urn:triptych:problem:wrong-parameter"
    assert [part.partition(":")[0] for part in answer.json()["detail"].split("; ")] == names


@pytest.mark.parametrize(
    ("body", "name"), [({"title": "Emma"}, "pages"), ({"pages": 5, "title": [1]}, "title")]
)
def test_each_wrong_member_of_a_body_is_named(client: TestClient, body: Any, name: str) -> None:
    answer = client.post("/shelves", json=body)

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"{name}: ")


def test_a_crash_tells_the_client_nothing_of_its_cause(client: TestClient) -> None:
    answer = client.get("/crash")

    assert answer.json() == {
        "type": "urn:triptych:problem:internal-server-error",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "",
        "hint": "It is a fault of the service: report it with the answer's X-Request-ID.",
    }
    assert "canary" not in str(answer.headers)


def test_what_is_away_for_now_says_when_to_ask_again(client: TestClient) -> None:
    answer = client.get("/troubles/unavailable")

    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("kind", set(Kind) - {Kind.UNAVAILABLE})
def test_what_will_fail_again_does_not_ask_to_be_tried_again(
    client: TestClient, kind: Kind
) -> None:
    answer = client.get(f"/troubles/{kind}")

    assert "retry-after" not in answer.headers


def test_an_error_of_http_keeps_its_words_and_its_headers(client: TestClient) -> None:
    answer = client.get("/forbidden")

    assert answer.json()["detail"] == "Readers may not enter."
    assert answer.headers["x-door"] == "closed"


def test_every_operation_is_described_as_answering_with_problems(client: TestClient) -> None:
    document = client.get("/openapi.json").json()

    operations = [o for path in document["paths"].values() for o in path.values()]
    assert operations
    for operation in operations:
        assert list(operation["responses"]["default"]["content"]) == ["application/problem+json"]
