"""Pages of a JSON API are read once each, whatever the server does in between."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
import stamina

from triptych.core.documents import WrongDocument
from triptych.core.errors import TriptychError
from triptych.etl.application.ports import QueryFailed
from triptych.etl.infrastructure.web import (
    AnswerTooLarge,
    Browser,
    ForbiddenAddress,
    Refused,
    ServerAway,
)

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Api:
    """A server that answers as a function says, and counts what it is asked."""

    url: str
    answer: Callable[[str, dict[str, str]], Answer]
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def api() -> Iterator[Api]:
    found = Api("", lambda _path, _parameters: (404, {}, b""))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            split = urlsplit(self.path)
            found.asked.append(self.path)
            found.headers.append(dict(self.headers))
            status, headers, body = found.answer(split.path, dict(parse_qsl(split.query)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    """Other attempts come without a pause."""
    with stamina.set_testing(True, attempts=3):
        yield


def pipeline(api: Api, more: str = "", *, refresh: str = "incremental") -> str:
    columns = "{id: integer, price: 'decimal(30, 12)', at: timestamptz}"
    return f"""
    version: 1
    name: orders
    refresh: {refresh}
    source:
      http: {{ url: "{api.url}/orders", records: /data, columns: {columns},
              private: true, requests_per_second: 1000{', ' + more if more else ''} }}
    sink: {{ lake: {{ table: orders, mode: {"replace" if refresh == "full" else "append"} }} }}
    """


def page(ids: list[int], **more: object) -> bytes:
    rows = [{"id": i, "price": 0.1, "at": f"2030-01-01T00:00:{i:02}Z"} for i in ids]
    return json.dumps({"data": rows, **more}).encode()


def ids(house: Any) -> list[int]:
    return sorted(row["id"] for row in house.rows("orders"))


def by_number(path: str, parameters: dict[str, str]) -> Answer:
    pages = {"1": [1, 2], "2": [3, 4], "3": [5]}
    return 200, {}, page(pages.get(parameters["page"], []))


def by_cursor(path: str, parameters: dict[str, str]) -> Answer:
    pages: dict[str, tuple[list[int], str | None]] = {
        "": ([1, 2], "b&=c"), "b&=c": ([3, 4], "d"), "d": ([5], None)
    }  # fmt: skip
    found, following = pages[parameters.get("cursor", "")]
    return 200, {}, page(found, meta={"next": following})


def by_link(path: str, parameters: dict[str, str]) -> Answer:
    number = int(parameters.get("p", "1"))
    pages = {1: [1, 2], 2: [3, 4], 3: [5]}
    link = {"Link": f'</orders?p={number + 1}>; rel="next"'} if number < 3 else {}
    return 200, link, page(pages[number])


def by_offset(path: str, parameters: dict[str, str]) -> Answer:
    start = int(parameters["offset"])
    return 200, {}, page([1, 2, 3, 4, 5][start : start + 2])


@pytest.mark.parametrize(
    ("answer", "pages"),
    [
        (by_number, "{}"),
        (by_cursor, "{parameter: cursor, at: /meta/next}"),
        (by_link, "link"),
        (by_offset, "{parameter: offset, first: 0, step: 2}"),
    ],
)
def test_every_page_is_read(
    house: Any, api: Api, answer: Callable[[str, dict[str, str]], Answer], pages: str
) -> None:
    api.answer = answer

    house.run(pipeline(api, f"pages: {pages}", refresh="full"))

    assert ids(house) == [1, 2, 3, 4, 5]
    assert len(set(api.asked)) == len(api.asked)


def test_numbers_are_not_rounded_on_the_way(house: Any, api: Api) -> None:
    body = b'{"data": [{"id": 1, "price": 123456789012345678.123456789012}]}'
    api.answer = lambda _path, _parameters: (200, {}, body)

    house.run(pipeline(api, refresh="full").replace("price: 'decimal(30, 12)'", "price: text"))

    assert house.rows("orders")[0]["price"] == "123456789012345678.123456789012"


def test_records_that_cannot_be_read_are_set_aside(house: Any, api: Api) -> None:
    body = b'{"data": [{"id": 1, "price": 0.10}, {"id": "x"}, [], 7]}'
    api.answer = lambda _path, _parameters: (200, {}, body)

    house.run(pipeline(api, refresh="full"))

    [row] = house.rows("orders")
    assert (row["id"], row["price"]) == (1, Decimal("0.1"))
    assert len(house.rows("orders_quarantine")) == 3


def test_a_run_that_died_goes_on_after_the_last_page(house: Any, api: Api) -> None:
    def dying(path: str, parameters: dict[str, str]) -> Answer:
        return (500, {}, b"") if parameters["page"] == "3" else by_number(path, parameters)

    api.answer = dying
    with pytest.raises(Refused):
        house.run(pipeline(api, "pages: {}", refresh="full"))
    api.answer = by_number

    house.run(pipeline(api, "pages: {}", refresh="full"))

    assert ids(house) == [1, 2, 3, 4, 5]
    assert [path[-1] for path in api.asked] == ["1", "2", "3", "3", "4"]


SINCE = "pages: {}, since: {parameter: since, at: /at, initial: '2030-01-01T00:00:00Z'}"


@dataclass
class Growing:
    """An API of records that grow in number."""

    newest: int

    def __call__(self, path: str, parameters: dict[str, str]) -> Answer:
        after = int(parameters["since"][17:19])
        there = [i for i in range(1, self.newest + 1) if i > after]
        start = 2 * (int(parameters["page"]) - 1)
        return 200, {}, page(there[start : start + 2])


def test_only_what_is_new_is_asked_for(house: Any, api: Api) -> None:
    api.answer = growing = Growing(3)
    house.run(pipeline(api, SINCE))
    growing.newest = 6
    [report] = house.run(pipeline(api, SINCE))
    [nothing] = house.run(pipeline(api, SINCE))

    assert ids(house) == [1, 2, 3, 4, 5, 6]
    assert (report.rows.read, nothing.rows.read) == (3, 0)


def test_what_was_read_once_is_read_again_from_memory(house: Any, api: Api) -> None:
    api.answer = Growing(3)
    text = pipeline(api, SINCE)
    house.run(text)
    more = text.rstrip() + "\n    outputs:\n      second: { sink: { lake: { table: second } } }\n"

    def elsewhere(path: str, parameters: dict[str, str]) -> Answer:
        return 200, {}, page([])

    api.answer = elsewhere
    house.run(more)

    assert len(house.rows("second")) == 3


def test_everything_is_read_again_where_it_cannot_tell_what_is_new(house: Any, api: Api) -> None:
    text = pipeline(api, "pages: {}", refresh="full")
    newest = 0

    def all_on_one_page(path: str, parameters: dict[str, str]) -> Answer:
        return 200, {}, page(list(range(1, newest + 1)) if parameters["page"] == "1" else [])

    api.answer = all_on_one_page
    for newest in (3, 2, 5):
        house.run(text)
        assert ids(house) == list(range(1, newest + 1))


def test_credentials_are_sent_and_told_to_nobody(house: Any, api: Api) -> None:
    api.answer = by_number
    more = "pages: {}, bearer: '${TOKEN}', headers: {X-Key: '${KEY}'}, parameters: {key: '${KEY}'}"
    loaded = house.pipeline(pipeline(api, more, refresh="full"), TOKEN="t0p", KEY="s3cret")

    house.etl.run(loaded)

    assert {h["Authorization"] for h in api.headers} == {"Bearer t0p"}
    assert {h["X-Key"] for h in api.headers} == {"s3cret"}
    assert all("key=s3cret" in path for path in api.asked)
    assert "s3cret" not in repr(loaded.source)
    state = (house.folder / "etl.db").read_bytes()
    assert b"s3cret" not in state
    assert b"t0p" not in state


@pytest.mark.parametrize(
    "url", ["https://a.example/x?key=1", "https://me:pw@a.example/", "ftp://a.example/", "https://"]
)
def test_an_address_holds_nothing_that_belongs_elsewhere(house: Any, url: str) -> None:
    with pytest.raises(WrongDocument):
        house.pipeline(pipeline(Api(url, by_number)).replace(f"{url}/orders", url))


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_is_transient_is_tried_again(house: Any, api: Api, status: int) -> None:
    left = [status, status]

    def busy(path: str, parameters: dict[str, str]) -> Answer:
        return (left.pop(), {"Retry-After": "1"}, b"") if left else (200, {}, page([1]))

    api.answer = busy
    house.run(pipeline(api, refresh="full"))

    assert ids(house) == [1]


FAILING: list[tuple[Answer, type[TriptychError], str]] = [
    ((503, {}, b""), ServerAway, "it answers 503"),
    ((403, {}, b""), Refused, "answers 403"),
    ((200, {}, b"{"), QueryFailed, "no JSON"),
    ((200, {}, b'{"rows": []}'), QueryFailed, "no array at '/data'"),
    ((200, {}, page(list(range(59)))), AnswerTooLarge, "more than 1,000 bytes"),
    ((200, {"Content-Encoding": "gzip"}, b"no gzip"), Refused, "cannot be unpacked"),
    ((302, {"Location": "http://example.com/"}, b""), ForbiddenAddress, "another server"),
    ((302, {"Location": "/orders"}, b""), Refused, "redirects"),
    ((200, {"Link": '<//example.com/x>; rel="next"'}, page([1])), Refused, "another server"),
]


@pytest.mark.parametrize(("answer", "error", "told"), FAILING, ids=[f[2] for f in FAILING])
def test_what_goes_wrong_is_said_and_nothing_is_written(
    house: Any, api: Api, answer: Answer, error: type[TriptychError], told: str
) -> None:
    api.answer = lambda _path, _parameters: answer
    more = "page_bytes: 1000, parameters: {key: s3cret}, pages: link"

    with pytest.raises(error, match=told) as raised:
        house.run(pipeline(api, more, refresh="full"))

    assert "s3cret" not in str(raised.value)
    assert not house.lake.table("orders").exists()


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/", "http://localhost/",
     "http://10.0.0.1/", "http://0.0.0.0/", "http://2130706433/", "http://[::ffff:127.0.0.1]/"],
)  # fmt: skip
def test_private_addresses_are_refused(house: Any, url: str) -> None:
    text = pipeline(Api(url, by_number), refresh="full").replace("private: true", "private: false")

    with pytest.raises(ForbiddenAddress):
        house.run(text)


def test_a_name_means_the_address_that_was_checked(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answer = by_link
    port = httpx2.URL(api.url).port
    asked: list[str] = []
    look_up = socket.getaddrinfo

    def rebinding(host: str, *arguments: Any, **more: Any) -> list[Any]:
        """The name means this machine at first, and another one when it is asked for again."""
        if host != "shop.example":
            return look_up(host, *arguments, **more)
        asked.append(host)
        return look_up("127.0.0.1" if len(asked) == 1 else "192.0.2.1", *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with httpx2.Client(trust_env=False) as client:
        browser = Browser(client, private=True, page_bytes=10_000)
        body, _ = browser.get(httpx2.URL(f"http://shop.example:{port}/orders"), {}, None)

    assert json.loads(body)["data"]
    assert asked == ["shop.example"]
    assert api.headers[0]["Host"] == f"shop.example:{port}"


def test_requests_keep_their_distance() -> None:
    slept: list[float] = []
    now = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))
        now[0] += seconds

    with httpx2.Client() as client:
        browser = Browser(client, True, 1, 0.5, monotonic=lambda: now[0], sleep=sleep)
        browser._wait()
        now[0] += 0.2
        browser._wait()
        now[0] += 0.9
        browser._wait()

    assert slept == [0.3]
