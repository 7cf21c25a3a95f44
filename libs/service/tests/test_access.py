"""Whoever has a key for it gets in, and nobody else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends
from starlette.testclient import TestClient

from triptych.core.domain.clock import FixedClock
from triptych.core.errors import Kind, TriptychError
from triptych.service.access import Caller, KeyRing, require
from triptych.service.app import create_app
from triptych.service.keys import ApiKey, Scope, mint
from triptych.testing.builders import NOON


class Away(TriptychError):
    """The store is away."""

    kind = Kind.UNAVAILABLE


@dataclass
class MemoryKeys:
    """A store of keys that can be away."""

    keys: dict[str, ApiKey] = field(default_factory=dict)
    away: bool = False
    told: dict[str, datetime] = field(default_factory=dict)

    def all(self) -> Sequence[ApiKey]:
        if self.away:
            raise Away
        return list(self.keys.values())

    def add(self, key: ApiKey) -> None:
        self.keys[key.id] = key

    def revoke(self, id_: str, at: datetime) -> bool:
        self.keys[id_] = replace(self.keys[id_], revoked_at=at)
        return True

    def expire(self, id_: str, at: datetime) -> bool:
        self.keys[id_] = replace(self.keys[id_], expires_at=at)
        return True

    def used(self, moments: Mapping[str, datetime]) -> None:
        self.told.update(moments)


@dataclass
class House:
    """A service whose one route asks for `write`, and its keys."""

    store: MemoryKeys
    clock: FixedClock
    ring: KeyRing
    client: TestClient

    def key(self, *scopes: Scope) -> str:
        key, text = mint("somebody", scopes, now=NOON)
        self.store.add(key)
        self.ring.refresh()
        return text

    def ask(self, text: str | None = None, path: str = "/write") -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {text}"} if text else {}
        answer = self.client.get(path, headers=headers)
        code = answer.json().get("type", "") if path == "/write" else ""
        return answer.status_code, code.rpartition(":")[2]


@pytest.fixture
def house() -> House:
    store, clock = MemoryKeys(), FixedClock(NOON)
    ring = KeyRing(store, clock)
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
    house.store.away = True
    with pytest.raises(Away):
        house.ring.refresh()

    house.clock.advance(timedelta(seconds=60))
    assert house.ask(text) == (200, "")
    house.clock.advance(timedelta(seconds=1))
    assert house.ask(text) == (503, "keys-unknown")


def test_uses_are_remembered_and_told_once(house: House) -> None:
    text = house.key(Scope.WRITE)
    [id_] = house.store.keys
    house.ask(text)

    house.ring.tell_uses()

    assert house.store.told == {id_: NOON}
    house.store.told.clear()
    house.ring.tell_uses()
    assert house.store.told == {}


def test_openapi_says_that_a_key_is_needed(house: House) -> None:
    document = house.client.get("/openapi.json").json()

    assert document["paths"]["/write"]["get"]["security"]
    [scheme] = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
