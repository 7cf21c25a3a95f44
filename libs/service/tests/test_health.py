"""/livez tells of the process, /readyz of what it needs."""

import threading
from collections.abc import Callable, Iterator, Mapping

import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from triptych.core.errors import Kind, TriptychError
from triptych.service.app import create_app
from triptych.service.health import Note, Probe

Serve = Callable[..., TestClient]


class NoShelf(TriptychError):
    """The shelf has gone."""

    kind = Kind.UNAVAILABLE
    hint = "Look behind the door."


def passing() -> None:
    """A probe of what is there."""


def away() -> None:
    """A probe of what is known to be able to go."""
    raise NoShelf("shelf 'blue'")


def broken() -> None:
    """A probe of what fails in its own way."""
    raise ConnectionError("canary")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Make a client of a service with these probes; what it logs goes nowhere."""
    clients = []

    def make(notes: Mapping[str, Note] | None = None, **probes: Probe) -> TestClient:
        app = create_app(
            title="Shelves", description="", version="1", routers=[], probes=probes, notes=notes
        )
        clients.append(TestClient(app, raise_server_exceptions=False))
        return clients[-1]

    with capture_logs():
        yield make
    for client in clients:
        client.close()


def drain(client: TestClient) -> None:
    client.app.state.health.draining = True  # type: ignore[attr-defined]  # it is a FastAPI


@pytest.mark.parametrize("probes", [{}, {"a": passing}, {"a": passing, "b": passing}])
def test_a_service_is_ready_when_every_probe_passes(serve: Serve, probes: dict[str, Probe]) -> None:
    answer = serve(**probes).get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "failures": {}, "notes": {}}


def test_a_service_without_a_thing_it_needs_is_not_ready_and_says_what_to_do(serve: Serve) -> None:
    answer = serve(ladder=passing, shelf=away).get("/readyz")

    assert answer.status_code == 503
    assert answer.json() == {
        "status": "failing",
        "failures": {"shelf": "The shelf has gone: shelf 'blue'. Look behind the door."},
        "notes": {},
    }


def test_an_unforeseen_failure_is_told_without_its_message(serve: Serve) -> None:
    answer = serve(shelf=broken).get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["failures"] == {"shelf": "ConnectionError"}


def test_each_failing_probe_is_named(serve: Serve) -> None:
    answer = serve(one=away, two=passing, three=broken).get("/readyz")

    assert answer.json()["failures"].keys() == {"one", "three"}


def test_a_probe_that_hangs_fails(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triptych.service.health.PROBE_SECONDS", 0.05)
    end = threading.Event()

    try:
        answer = serve(shelf=end.wait).get("/readyz")
    finally:
        end.set()

    assert answer.status_code == 503
    assert answer.json()["failures"] == {"shelf": "no answer within 0.05 s"}


def test_probes_run_at_the_same_time(serve: Serve) -> None:
    together = threading.Barrier(2, timeout=1)

    answer = serve(one=together.wait, two=together.wait).get("/readyz")

    assert answer.status_code == 200


def test_a_service_is_ready_again_when_what_it_needs_is_back(serve: Serve) -> None:
    answers = iter([away, passing])

    def returning() -> None:
        next(answers)()

    client = serve(shelf=returning)
    assert client.get("/readyz").status_code == 503

    answer = client.get("/readyz")

    assert answer.status_code == 200


def test_a_service_that_drains_is_not_ready_though_every_probe_passes(serve: Serve) -> None:
    client = serve(shelf=passing)
    drain(client)

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (503, "draining")


@pytest.mark.parametrize(
    ("probe", "draining", "status"),
    [(passing, False, 200), (away, False, 503), (passing, True, 503)],
)
def test_a_note_is_told_whether_the_service_is_ready_or_not(
    serve: Serve, probe: Probe, draining: bool, status: int
) -> None:
    client = serve({"labels": lambda: "They are old.", "lamps": lambda: None}, shelf=probe)
    if draining:
        drain(client)

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["notes"]) == (status, {"labels": "They are old."})


def test_a_note_that_fails_does_not_make_the_service_unready(serve: Serve) -> None:
    def fail() -> str:
        raise ValueError("canary")

    answer = serve({"labels": fail}).get("/readyz")

    assert (answer.status_code, answer.json()["notes"]) == (200, {"labels": "ValueError"})


@pytest.mark.parametrize("draining", [False, True])
@pytest.mark.parametrize("probe", [passing, away, broken])
def test_a_process_that_answers_is_alive_whatever_is_away(
    serve: Serve, probe: Probe, draining: bool
) -> None:
    client = serve(shelf=probe)
    if draining:
        drain(client)

    answer = client.get("/livez")

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
