"""The service's HTTP interface: pages, problems, and a document that is true."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from fastapi.testclient import TestClient

from triptych.database.engine import open_database
from triptych.database.schema import migrate
from triptych.etl.application.pipeline import Pipeline
from triptych.etl.entrypoints.http import create_etl
from triptych.etl.infrastructure.pipelines import PipelineFiles
from triptych.etl.settings import ScheduleSettings
from triptych.etl.wiring import Serving, wire_serving
from triptych.eventlog.log import SCHEMA
from triptych.service.keys import Scope, mint
from triptych.service.sql_keys import SqlKeys
from triptych.testing.builders import NOON

PIPELINE = """
version: 1
name: {name}
{more}
source:
  files: {{ paths: ["*.csv"], columns: {{n: text}} }}
sink:
  lake: {{ table: {name} }}
"""


@pytest.fixture
def serving(house: Any, tmp_path: Path) -> Iterator[Serving]:
    """A server of two pipelines, of which one has a schedule."""
    read: Callable[[Path], Pipeline] = lambda path: house.pipeline(path.read_text())  # noqa: E731
    schedule = 'schedule: {cron: "0 2 * * *", timezone: Europe/Berlin}'
    for name, more in (("nightly", schedule), ("by_hand", "")):
        (tmp_path / f"{name}.yaml").write_text(PIPELINE.format(name=name, more=more))
    files = PipelineFiles([tmp_path / "nightly.yaml", tmp_path / "by_hand.yaml"], read)
    with wire_serving(ScheduleSettings(), house.etl, files) as made:
        yield made


@pytest.fixture
def client(serving: Serving) -> Iterator[TestClient]:
    with TestClient(create_etl(serving)) as client:
        yield client


def test_pipelines_are_listed_with_when_they_run(client: TestClient) -> None:
    [by_hand, nightly] = client.get("/v1/pipelines").json()["pipelines"]

    assert (by_hand["name"], by_hand["schedule"], by_hand["next_at"]) == ("by_hand", None, None)
    assert nightly["schedule"] == {"cron": "0 2 * * *", "timezone": "Europe/Berlin", "on": None}
    assert nightly["next_at"].endswith(":00:00Z")
    assert (nightly["last_run"], nightly["positions"], nightly["running"]) == (
        None,
        {"main": 0},
        False,
    )


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_a_walk_through_the_pages_sees_every_run_once_the_newest_first(
    client: TestClient, house: Any, limit: int
) -> None:
    began = [0, 1, 1, 1, 2, 3, 3]  # some at the same moment
    for number, minutes in enumerate(began):
        house.etl.runs.begin(f"run{number}", "nightly", NOON + timedelta(minutes=minutes))
        house.etl.runs.begin(f"other{number}", "other", NOON + timedelta(minutes=minutes))

    seen: list[tuple[str, str]] = []
    query: dict[str, Any] = {"pipeline": "nightly", "limit": limit}
    while True:
        page = client.get("/v1/runs", params=query).json()
        seen += [(run["started_at"], run["id"]) for run in page["runs"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]

    assert {id_ for _, id_ in seen} == {f"run{number}" for number in range(7)}
    assert [at for at, _ in seen] == sorted((at for at, _ in seen), reverse=True)
    assert len(seen) == 7


def test_runs_are_found_by_what_became_of_them(client: TestClient, house: Any) -> None:
    for number, error in enumerate([None, "it broke", None]):
        house.etl.runs.begin(f"run{number}", "nightly", NOON)
        house.etl.runs.end(f"run{number}", NOON, [], error)
    house.etl.runs.begin("run3", "nightly", NOON)

    found = {
        status: [run["id"] for run in client.get(f"/v1/runs?status={status}").json()["runs"]]
        for status in ("done", "failed", "running")
    }

    assert found == {"done": ["run0", "run2"], "failed": ["run1"], "running": ["run3"]}


def test_a_cursor_opens_no_other_list(client: TestClient, house: Any) -> None:
    for number in range(3):
        house.etl.runs.begin(f"run{number}", "nightly", NOON)
    cursor = client.get("/v1/runs?limit=1").json()["next"]

    answer = client.get(f"/v1/runs?status=done&cursor={cursor}")

    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "the cursor belongs to another query",
    )


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/runs/no-such", 404, "no-such-run"),
        ("/v1/runs?cursor=made-up", 400, "wrong-cursor"),
        ("/v1/runs?limit=0", 422, "wrong-parameter"),
        ("/v1/runs?status=sleeping", 422, "wrong-parameter"),
        ("/v1/nothing", 404, "not-found"),
    ],
)
def test_what_is_asked_wrongly_is_a_problem_document(
    client: TestClient, path: str, status: int, code: str
) -> None:
    answer = client.get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:triptych:problem:{code}"


def test_a_server_is_ready_when_what_its_pipelines_need_is_there(
    client: TestClient, serving: Serving, tmp_path: Path
) -> None:
    without = client.get("/readyz")
    events = "events: { types: [test.happened], columns: {n: text} }"
    reads_files = 'files: { paths: ["*.csv"], columns: {n: text} }'
    text = PIPELINE.format(name="nightly", more="").replace(reads_files, events)
    (tmp_path / "nightly.yaml").write_text(text)
    serving.files.reload()

    away = client.get("/readyz")
    log = open_database(f"sqlite:///{tmp_path / 'eventlog.db'}", create=True)
    migrate(log, [SCHEMA])
    log.dispose()
    there = client.get("/readyz")

    assert [answer.status_code for answer in (without, away, there)] == [200, 503, 200]
    assert list(away.json()["failures"]) == ["eventlog"]


def answers(document: Any) -> Iterator[tuple[str, Any]]:
    """The operation and the description of every answer below /v1."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                for content in answer.get("content", {}).values():
                    # What FastAPI says of wrong parameters is said once, by the default answer.
                    if path.startswith("/v1") and status not in ("default", "422"):
                        yield f"{method} {path} {status}", content


def test_every_answer_has_an_example_that_is_valid_by_its_schema(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    tried = 0

    for where, content in answers(document):
        schema = {**content["schema"], "components": document["components"]}
        validator = jsonschema_rs.Draft202012Validator(schema, offline=True)
        wrong = [error.message for error in validator.iter_errors(content["example"])]
        assert (where, wrong) == (where, [])
        tried += 1

    assert tried == 8


def test_once_there_is_a_key_only_who_has_one_that_may_read_is_told_of_runs(
    client: TestClient, serving: Serving, house: Any
) -> None:
    key, text = mint("a team", [Scope.READ], now=NOON)
    SqlKeys(house.etl.state).add(key)
    serving.keys.refresh()

    statuses = [
        client.get(path, headers=headers).status_code
        for path in ("/v1/pipelines", "/v1/runs", "/metrics")
        for headers in ({}, {"Authorization": f"Bearer {text}"})
    ]

    assert statuses == [401, 200] * 3
