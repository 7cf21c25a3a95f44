"""Whoever has a key for it gets in, and nobody else."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated

import httpx2
import pytest
from fastapi import APIRouter, Depends
from starlette.testclient import TestClient
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from triptych.core.domain.clock import FixedClock
from triptych.core.errors import Kind, TriptychError
from triptych.service.access import Caller, KeyRing, require
from triptych.service.app import create_app
from triptych.service.keys import ApiKey, MemoryKeys, Scope, mint
from triptych.testing.builders import NOON


class Away(TriptychError):
    """The store is away."""

    kind = Kind.UNAVAILABLE


class Broken(Exception):
    """Nobody foresaw it."""


@dataclass
class Store(MemoryKeys):
    """A store of keys that can be away, and counts how often it is asked."""

    trouble: Exception | None = None
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    times: int = 0

    def await_looks(self, number: int) -> None:
        """Wait until so many looks have begun from now on: all but the last have ended."""
        while self.asked.acquire(blocking=False):
            continue
        for _ in range(number):
            assert self.asked.acquire(timeout=5)

    def all(self) -> Sequence[ApiKey]:
        self.times += 1
        self.asked.release()
        if self.trouble:
            raise self.trouble
        return super().all()


@dataclass
class House:
    """A service whose one route asks for `write`, and its keys."""

    store: Store
    clock: FixedClock
    ring: KeyRing
    client: TestClient

    def key(self, *scopes: Scope) -> str:
        text = self.make(*scopes)
        self.ring.refresh()
        return text

    def make(self, *scopes: Scope) -> str:
        """A key that the service does not know yet."""
        key, text = mint("somebody", scopes, now=NOON)
        self.store.add(key)
        return text

    def ask(self, text: str | None = None, path: str = "/write") -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {text}"} if text else {}
        answer = self.client.get(path, headers=headers)
        code = answer.json().get("type", "") if path == "/write" else ""
        return answer.status_code, code.rpartition(":")[2]


@pytest.fixture
def house() -> House:
    store, clock = Store(), FixedClock(NOON)
    ring = KeyRing(store, clock, refresh_seconds=0.01)
    router = APIRouter()

    @router.get("/write")
    async def write(
        caller: Annotated[Caller, Depends(require(ring, Scope.WRITE))],
    ) -> dict[str, str]:
        return {"caller": caller.name}

    app = create_app(
        title="House",
        description="",
        version="1",
        routers=[router],
        probes={},
        reader=require(ring, Scope.READ),
    )
    return House(store, clock, ring, TestClient(app))


def test_without_any_key_everybody_gets_in(house: House) -> None:
    house.ring.refresh()

    assert house.ask() == (200, "")


def test_as_soon_as_there_is_a_key_one_is_needed(house: House) -> None:
    text = house.key(Scope.WRITE)

    assert house.ask() == (401, "no-key")
    assert house.ask(text) == (200, "")


def test_that_all_keys_are_gone_lets_nobody_in(house: House) -> None:
    house.key(Scope.WRITE)
    house.store.keys.clear()
    house.ring.refresh()

    assert house.ask() == (401, "no-key")


def test_who_has_no_key_is_told_how_to_send_one(house: House) -> None:
    house.key(Scope.WRITE)

    answer = house.client.get("/write")

    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_key_for_something_else_is_refused(house: House) -> None:
    assert house.ask(house.key(Scope.READ)) == (403, "not-allowed")


def test_it_is_not_told_why_a_key_is_none(house: House) -> None:
    text = house.key(Scope.WRITE)
    [id_] = house.store.keys
    unknown = house.client.get("/write", headers={"Authorization": "Bearer nonsense"}).json()
    house.store.revoke(id_, NOON)
    house.ring.refresh()

    revoked = house.client.get("/write", headers={"Authorization": f"Bearer {text}"}).json()

    assert revoked == unknown


def test_the_measurements_are_for_readers(house: House) -> None:
    writer, reader = house.key(Scope.WRITE), house.key(Scope.READ)

    assert [house.ask(text, "/metrics")[0] for text in (None, writer, reader)] == [401, 403, 200]
    assert house.ask(None, "/livez")[0] == 200


def test_keys_are_believed_for_a_while_when_their_store_is_away(house: House) -> None:
    text = house.key(Scope.WRITE)
    house.store.trouble = Away()
    with pytest.raises(Away):
        house.ring.refresh()

    house.clock.advance(timedelta(seconds=60))
    assert house.ask(text) == (200, "")
    house.clock.advance(timedelta(seconds=1))
    assert house.ask(text) == (503, "keys-unknown")


def test_before_the_store_was_seen_nobody_gets_in(house: House) -> None:
    assert house.ask() == (503, "keys-unknown")


def test_a_new_key_works_within_a_second(house: House) -> None:
    house.key(Scope.WRITE)
    new = house.make(Scope.WRITE)
    house.clock.advance(timedelta(seconds=1))

    assert house.ask(new) == (200, "")


def test_unknown_keys_make_the_store_be_asked_once_a_second(house: House) -> None:
    house.key(Scope.WRITE)
    strangers = [mint("stranger", [Scope.WRITE], now=NOON)[1] for _ in range(5)]
    house.clock.advance(timedelta(seconds=1))
    before = house.store.times

    assert {house.ask(text) for text in strangers} == {(401, "no-key")}

    assert house.store.times == before + 1


def test_only_what_could_be_a_new_key_makes_the_store_be_asked(house: House) -> None:
    text = house.key(Scope.WRITE)
    house.clock.advance(timedelta(seconds=1))
    before = house.store.times

    answers = [house.ask(wrong) for wrong in (None, "nonsense", text[:-1] + "_", text)]

    assert [status for status, _ in answers] == [401, 401, 401, 200]
    assert house.store.times == before


def test_an_unknown_key_is_none_when_the_store_is_away_too(house: House) -> None:
    house.key(Scope.WRITE)
    house.clock.advance(timedelta(seconds=1))
    house.store.trouble = Away()

    assert house.ask(mint("stranger", [Scope.WRITE], now=NOON)[1]) == (401, "no-key")


def test_who_has_too_few_rights_is_told_so_in_the_words_of_rfc_6750(house: House) -> None:
    text = house.key(Scope.READ)

    answer = house.client.get("/write", headers={"Authorization": f"bearer  {text} "})

    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    assert "'write'" in answer.json()["detail"]


def test_uses_are_remembered_and_told_once(house: House) -> None:
    text = house.key(Scope.WRITE)
    [id_] = house.store.keys
    house.ask(text)

    house.ring.tell_uses()

    assert house.store.keys[id_].last_used_at == NOON
    house.store.keys[id_] = replace(house.store.keys[id_], last_used_at=None)
    house.ring.tell_uses()
    assert house.store.keys[id_].last_used_at is None


def test_uses_are_told_when_the_service_stops(house: House) -> None:
    text = house.make(Scope.WRITE)
    [id_] = house.store.keys

    with house.ring.kept_fresh():
        house.ask(text)

    assert house.store.keys[id_].last_used_at == NOON


@pytest.mark.parametrize("trouble", [Away(), Broken()], ids=["foreseen", "unforeseen"])
def test_the_ring_is_kept_fresh_through_every_trouble(house: House, trouble: Exception) -> None:
    with capture_logs(), house.ring.kept_fresh():
        house.store.trouble = trouble
        house.store.await_looks(2)
        house.store.trouble = None
        text = house.make(Scope.WRITE)
        house.store.await_looks(2)

        assert house.ask(text) == (200, "")


def test_the_log_says_who_asked_and_never_with_what(house: House) -> None:
    text = house.key(Scope.READ)

    with capture_logs([merge_contextvars]) as lines:
        house.ask(text)
        house.ask(text[:-1] + "_")

    assert [line.get("caller") for line in lines] == [text.split("_")[1], None]
    assert text.split("_", 2)[2] not in str(lines)


def test_of_requests_that_follow_each_other_each_has_its_own_caller(house: House) -> None:
    headers = {"Authorization": f"Bearer {house.key(Scope.WRITE)}"}

    async def ask() -> None:
        # In one task, as it is with pipelined requests.
        transport = httpx2.ASGITransport(house.client.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.get("/write", headers=headers)
            await client.get("/write")

    with capture_logs([merge_contextvars]) as lines:
        asyncio.run(ask())

    assert ["caller" in line for line in lines] == [True, False]


def test_openapi_says_that_a_key_is_needed(house: House) -> None:
    document = house.client.get("/openapi.json").json()

    assert document["paths"]["/write"]["get"]["security"]
    [scheme] = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
