"""Keys are made, listed, ended and exchanged on the command line, and open the door."""

import subprocess
from collections.abc import Callable

import httpx2
import orjson
import pytest

from triptych.testing.builders import invoice_json
from triptych.testing.processes import running

Command = Callable[..., subprocess.CompletedProcess[str]]


def create(ingestion: Command, *arguments: str) -> tuple[str, str]:
    """Make a key: its id, and its text."""
    made = ingestion("keys", "create", "tills", "--scope", "write", *arguments)
    assert made.returncode == 0, made.stderr
    text = made.stdout.strip()
    return text.split("_")[1], text


def listed(ingestion: Command) -> list[dict[str, str]]:
    lines = ingestion("keys", "list", "--json").stdout.splitlines()
    return [orjson.loads(line) for line in lines]


def test_a_key_is_shown_once_and_alone(ingestion: Command) -> None:
    made = ingestion("keys", "create", "tills", "--scope", "write", "--type", "shop.*")

    assert made.stdout.startswith("triptych_")
    assert made.stdout.count("\n") == 1
    assert "not shown again" in made.stderr
    assert made.stdout.strip() not in ingestion("keys", "list").stdout


def test_a_list_tells_everything_but_the_secret(ingestion: Command) -> None:
    id_, text = create(ingestion, "--type", "shop.*", "--expires-in", "90d")

    [key] = listed(ingestion)

    assert (key["id"], key["name"], key["scopes"], key["types"]) == (
        id_,
        "tills",
        "write",
        "shop.*",
    )
    assert key["state"] == "active"
    assert text.split("_", 2)[2] not in str(key)


def test_a_revoked_key_is_listed_as_such(ingestion: Command) -> None:
    id_, _ = create(ingestion)

    assert ingestion("keys", "revoke", id_).returncode == 0

    assert [key["state"] for key in listed(ingestion)] == ["revoked"]


def test_a_rotated_key_ends_and_another_has_its_rights(ingestion: Command) -> None:
    id_, text = create(ingestion)

    rotated = ingestion("keys", "rotate", id_, "--grace", "0s")

    assert rotated.stdout.strip() != text
    assert [(key["name"], key["state"]) for key in listed(ingestion)] == [
        ("tills", "expired"),
        ("tills", "active"),
    ]


@pytest.mark.parametrize(
    "how", [["revoke"], ["rotate", "--grace", "0s"]], ids=["revoked", "expired"]
)
def test_a_key_that_has_ended_does_not_come_back_as_another(
    ingestion: Command, how: list[str]
) -> None:
    id_, _ = create(ingestion)
    ingestion("keys", *how, id_)
    before = listed(ingestion)

    failed = ingestion("keys", "rotate", id_)

    assert failed.returncode == 1
    assert "The key has ended" in failed.stderr
    assert failed.stdout == ""
    assert listed(ingestion) == before


@pytest.mark.parametrize("name", ["[/x]", "[red]tills", "Kasse im Erdgeschoß"])
def test_a_list_shows_a_name_as_it_is(ingestion: Command, name: str) -> None:
    ingestion("keys", "create", name, "--scope", "write")

    shown = ingestion("keys", "list", COLUMNS="200").stdout

    assert name in shown


def test_a_list_cuts_nothing_off_in_a_narrow_terminal(ingestion: Command) -> None:
    id_, _ = create(ingestion, "--type", "shop.invoice.*", "--expires-in", "90d")

    shown = ingestion("keys", "list", COLUMNS="80").stdout

    assert id_ in shown
    assert "active" in shown
    assert "…" not in shown


@pytest.mark.parametrize("command", ["revoke", "rotate"])
def test_a_key_that_does_not_exist_is_named(ingestion: Command, command: str) -> None:
    id_, _ = create(ingestion)

    failed = ingestion("keys", command, id_[:-1])

    assert failed.returncode == 2
    assert f"did you mean {id_!r}?" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    ("options", "end"),
    [
        (["--expires-at", "2090-01-01T01:00:00+01:00"], "2090-01-01T00:00:00Z"),
        (["--expires-at", "2090-01-01T00:00Z", "--expires-in", "99999d"], "2090-01-01T00:00:00Z"),
        ([], None),
    ],
    ids=["a-moment", "the-earlier-of-two", "never"],
)
def test_a_key_expires_when_it_is_told_to(
    ingestion: Command, options: list[str], end: str | None
) -> None:
    create(ingestion, *options)

    assert [key["expires"] for key in listed(ingestion)] == [end]


@pytest.mark.parametrize("text", ["tomorrow", "2090-01-01T00:00:00", "0001-01-01T00:00:00+01:00"])
def test_what_is_no_moment_is_refused(ingestion: Command, text: str) -> None:
    failed = ingestion("keys", "create", "tills", "--scope", "write", "--expires-at", text)

    assert failed.returncode == 2
    assert "Write it with its zone" in failed.stderr
    assert listed(ingestion) == []


@pytest.mark.parametrize("text", ["90", "d", "-1d", "1w", "1.5h", "٣d"])
def test_what_is_no_stretch_of_time_is_refused(ingestion: Command, text: str) -> None:
    failed = ingestion("keys", "create", "tills", "--scope", "write", f"--expires-in={text}")

    assert failed.returncode == 2
    assert "Write a whole number and its unit" in failed.stderr


def test_with_a_key_a_service_may_be_open_to_the_network(
    ingestion: Command, environment: dict[str, str]
) -> None:
    _, text = create(ingestion, "--type", "shop.*")
    everywhere = {**environment, "TRIPTYCH_INGESTION__HOST": "0.0.0.0"}  # noqa: S104  # the claim

    with running("ingestion", everywhere) as service:
        url = service.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        statuses = [
            httpx2.post(
                f"{url}/v1/events",
                content=orjson.dumps(invoice_json()),
                headers={"Content-Type": "application/cloudevents+json", **headers},
            ).status_code
            for headers in ({}, {"Authorization": f"Bearer {text}"})
        ]

    assert statuses == [401, 200]


def test_an_event_of_a_type_that_the_key_may_not_send_is_refused(
    ingestion: Command, environment: dict[str, str]
) -> None:
    _, text = create(ingestion, "--type", "warehouse.*")

    with running("ingestion", environment) as service:
        answer = httpx2.post(
            f"{service.url}/v1/events",
            content=orjson.dumps(invoice_json()),
            headers={
                "Content-Type": "application/cloudevents+json",
                "Authorization": f"Bearer {text}",
            },
        )

    [outcome] = answer.json()["outcomes"]
    assert (answer.status_code, outcome["reason"]) == (422, "forbidden")
