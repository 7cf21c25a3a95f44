"""What was refused is shown, page by page, and comes again after it was mended."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

from triptych.database.engine import writing
from triptych.ingestion.entrypoints.http import create_ingestion
from triptych.ingestion.settings import IngestionSettings
from triptych.ingestion.wiring import Ingestion, wire
from triptych.testing.builders import event_json
from triptych.testing.postgres import PostgresServer

BATCH = {"Content-Type": "application/cloudevents-batch+json"}
STRICT = {"properties": {"n": {"maximum": 0}}}


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """A contract that refuses what the tests send."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "test.happened.v1.json").write_bytes(orjson.dumps(STRICT))
    return folder


@pytest.fixture
def service(contracts: Path, new_database: Callable[[], str]) -> Iterator[Ingestion]:
    url = SecretStr(new_database())
    with wire(IngestionSettings(eventlog_url=url, contracts_dir=contracts)) as wired:
        yield wired


@pytest.fixture
def client(service: Ingestion) -> Iterator[TestClient]:
    with TestClient(create_ingestion(service)) as client:
        yield client


def refuse(client: TestClient, number: int) -> list[int]:
    """Send events that are refused; the ids of the rejections, the newest first."""
    events = [event_json(id=str(n), data={"n": n + 1}) for n in range(number)]
    for event in events:
        assert client.post("/v1/events", json=[event], headers=BATCH).status_code == 422
    page = client.get("/v1/rejections", params={"limit": 1000}).json()
    return [rejection["id"] for rejection in page["rejections"]]


def mend(service: Ingestion, contracts: Path) -> None:
    (contracts / "test.happened.v1.json").write_bytes(b"{}")
    service.contracts.reload()


def stored(client: TestClient, number: int) -> list[int]:
    return [client.get(f"/v1/events/urn:test/{n}").status_code for n in range(number)]


def test_a_rejection_is_shown_with_everything_that_is_known(client: TestClient) -> None:
    [id_] = refuse(client, 1)

    shown = client.get(f"/v1/rejections/{id_}").json()

    assert (shown["reason"], shown["type"], shown["event_id"]) == (
        "contract",
        "test.happened",
        "0",
    )
    assert shown["violations"] == [
        {
            "pointer": "/data/n",
            "keyword": "maximum",
            "message": "1 is greater than the maximum of 0",
        }
    ]
    assert orjson.loads(shown["raw"])["data"] == {"n": 1}
    assert shown["first_at"].endswith("Z")
    assert client.get("/v1/rejections/999999").status_code == 404


def test_pages_follow_each_other_and_end(client: TestClient) -> None:
    ids = refuse(client, 7)

    found, cursor = [], None
    while True:
        params = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = client.get("/v1/rejections", params=params).json()
        found.append([rejection["id"] for rejection in page["rejections"]])
        if (cursor := page["next"]) is None:
            break

    assert found == [ids[:3], ids[3:6], ids[6:]]


@pytest.mark.parametrize(
    ("params", "number"),
    [
        ({"type": "test.happened"}, 3),
        ({"type": "other"}, 0),
        ({"reason": "contract"}, 3),
        ({"reason": "conflict"}, 0),
        ({"since": "2020-01-01T00:00:00Z"}, 3),
        ({"until": "2020-01-01T00:00:00Z"}, 0),
        ({"open": "true"}, 3),
        ({"open": "false"}, 0),
    ],
)
def test_rejections_are_filtered(client: TestClient, params: dict[str, str], number: int) -> None:
    refuse(client, 3)

    assert len(client.get("/v1/rejections", params=params).json()["rejections"]) == number


@pytest.mark.parametrize("how", ["altered", "another-filter", "nonsense"])
def test_a_cursor_opens_nothing_else(client: TestClient, how: str) -> None:
    refuse(client, 3)
    cursor = client.get("/v1/rejections", params={"limit": 1}).json()["next"]
    params = {"cursor": cursor}
    if how == "altered":
        params["cursor"] = cursor[:-2] + ("AA" if not cursor.endswith("AA") else "BB")
    elif how == "another-filter":
        params["type"] = "test.happened"
    else:
        params["cursor"] = "nonsense"

    answer = client.get("/v1/rejections", params=params)

    assert (answer.status_code, answer.json()["type"]) == (
        400,
        "urn:triptych:problem:wrong-cursor",
    )


def test_what_is_still_wrong_stays_as_it_was(client: TestClient) -> None:
    [id_] = refuse(client, 1)
    before = client.get(f"/v1/rejections/{id_}").json()

    outcome = client.post(f"/v1/rejections/{id_}/replay").json()

    assert (outcome["status"], outcome["violations"][0]["keyword"]) == ("rejected", "maximum")
    assert client.get(f"/v1/rejections/{id_}").json() == before


def test_what_was_mended_becomes_an_event_once(
    client: TestClient, service: Ingestion, contracts: Path
) -> None:
    [id_] = refuse(client, 1)
    mend(service, contracts)

    first, second = (client.post(f"/v1/rejections/{id_}/replay").json() for _ in range(2))

    assert (first["status"], second["status"]) == ("accepted", "duplicate")
    assert client.get(f"/v1/rejections/{id_}").json()["replayed_at"] is not None
    assert stored(client, 1) == [200]


def test_many_come_again_and_those_that_did_do_not_a_second_time(
    client: TestClient, service: Ingestion, contracts: Path
) -> None:
    refuse(client, 5)
    mend(service, contracts)

    def replay(**params: Any) -> Any:
        return client.post("/v1/rejections/replay", params=params).json()

    first = replay(limit=3)
    second = replay(limit=3, cursor=first["next"])
    third = replay()

    assert [answer["replayed"] for answer in (first, second, third)] == [3, 2, 0]
    assert [answer["next"] is None for answer in (first, second, third)] == [False, True, True]
    assert stored(client, 5) == [200] * 5


def test_replays_at_the_same_time_store_nothing_twice(
    client: TestClient, service: Ingestion, contracts: Path
) -> None:
    refuse(client, 20)
    mend(service, contracts)

    with ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(lambda _: client.post("/v1/rejections/replay").json(), range(4)))

    statuses = [outcome["status"] for answer in answers for outcome in answer["outcomes"]]
    assert statuses.count("accepted") == 20
    assert set(statuses) <= {"accepted", "duplicate"}


def test_what_the_database_refuses_is_a_rejection_and_its_neighbours_are_stored(
    contracts: Path, postgres_server: PostgresServer
) -> None:
    (contracts / "test.happened.v1.json").write_bytes(b"{}")
    url = SecretStr(postgres_server.create_database())
    with wire(IngestionSettings(eventlog_url=url, contracts_dir=contracts)) as service:
        with writing(service.store.engine) as connection:
            connection.execute(sa.text("ALTER TABLE events ADD CHECK (id <> 'poison')"))
        client = TestClient(create_ingestion(service))
        names = ["1", "2", "poison", "3"]
        answer = client.post(
            "/v1/events", json=[event_json(id=name) for name in names], headers=BATCH
        )

        found = [client.get(f"/v1/events/urn:test/{name}").status_code for name in names]
        [rejection] = client.get("/v1/rejections").json()["rejections"]

    assert [o["status"] for o in answer.json()["outcomes"]] == [
        "accepted",
        "accepted",
        "rejected",
        "accepted",
    ]
    assert found == [200, 200, 404, 200]
    assert (rejection["reason"], rejection["event_id"]) == ("unstorable", None)
    assert orjson.loads(rejection["raw"])["id"] == "poison"
