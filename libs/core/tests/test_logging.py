"""One shape for every line, and never a secret in it."""

import asyncio
import io
import json
import logging
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretBytes, SecretStr

from triptych.core.config import LogSettings
from triptych.core.logging import bind, configure_logging, get_logger, tag, untag

CANARY = "canary-7f3a9c"
MARKER = "marker-51e2d8"

Form = Literal["auto", "json", "console"]
Level = Literal["debug", "info", "warning", "error", "critical"]

log = get_logger("triptych.test")


class Terminal(io.StringIO):
    """A standard error that a person reads."""

    def isatty(self) -> bool:
        return True


@contextmanager
def logging_to(
    stderr: io.StringIO, format_: Form = "json", level: Level = "info"
) -> Iterator[None]:
    """Configure logging for the length of the block, and leave no trace of it.

    No fixture: hypothesis would share one among its examples.
    """
    root = logging.getLogger()
    handlers, root_level, before = root.handlers[:], root.level, sys.stderr
    structlog_before = structlog.get_config()
    root.handlers[:] = []  # pytest's own must not be closed
    sys.stderr = stderr
    try:
        configure_logging(LogSettings(format=format_, level=level))
        yield
    finally:
        sys.stderr = before
        root.handlers[:] = handlers
        root.setLevel(root_level)
        logging.captureWarnings(capture=False)
        structlog.configure(**structlog_before)


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    """Standard error while logging is configured as in production."""
    with logging_to(stream := io.StringIO()):
        yield stream


def lines(stderr: io.StringIO) -> list[dict[str, Any]]:
    """The lines that were logged as JSON."""
    return [json.loads(line) for line in stderr.getvalue().splitlines()]


def line(stderr: io.StringIO) -> dict[str, Any]:
    """The only line that was logged."""
    (only,) = lines(stderr)
    return only


def test_a_line_has_an_event_a_level_a_logger_a_time_and_its_fields(stderr: io.StringIO) -> None:
    log.info("events.stored", accepted=3)

    logged = line(stderr)
    at = datetime.fromisoformat(logged.pop("timestamp"))
    assert at.utcoffset() == timedelta()
    assert logged == {
        "event": "events.stored",
        "level": "info",
        "logger": "triptych.test",
        "accepted": 3,
    }


@pytest.mark.parametrize("name", ["sqlalchemy.engine", "uvicorn.error"])
def test_records_of_the_standard_library_have_the_same_shape(
    stderr: io.StringIO, name: str
) -> None:
    logging.getLogger(name).warning("took %d seconds", 3, extra={"table": "events"})

    logged = line(stderr)
    assert datetime.fromisoformat(logged.pop("timestamp")).utcoffset() == timedelta()
    assert logged == {
        "event": "took 3 seconds",
        "level": "warning",
        "logger": name,
        "table": "events",
    }


def test_the_copy_that_uvicorn_colours_for_itself_is_left_out(stderr: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "\x1b[1mStarted"})

    assert "color_message" not in line(stderr)


def test_a_warning_is_a_line(stderr: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("this will go away", DeprecationWarning, stacklevel=1)

    logged = line(stderr)
    assert logged["level"] == "warning"
    assert "this will go away" in logged["event"]


@pytest.mark.parametrize("name", ["triptych.test", "uvicorn.error"])
def test_an_exception_is_text_on_the_line_of_its_event(stderr: io.StringIO, name: str) -> None:
    try:
        raise ValueError("the shelf fell down")
    except ValueError:
        get_logger(name).exception("shelf.broke", shelf="blue")

    logged = line(stderr)
    assert logged["level"] == "error"
    assert logged["shelf"] == "blue"
    assert logged["exception"].startswith("Traceback (most recent call last):")
    assert logged["exception"].endswith("ValueError: the shelf fell down")


@pytest.mark.parametrize(
    ("value", "logged"),
    [
        (None, None),
        (2.5, 2.5),
        ("é", "é"),
        ((1, "a"), [1, "a"]),
        ({1: {2}}, {"1": [2]}),
        (PurePosixPath("/tables/invoices"), "/tables/invoices"),
        (datetime(2030, 1, 1), "2030-01-01 00:00:00"),  # noqa: DTZ001  # whatever it is
        (ValueError("odd"), "odd"),
        (b"\x00\x01\x02", "<3 bytes>"),
        (2**80, 2**80),
        ("\ud800", "\ud800"),
    ],
    ids=repr,
)
def test_any_value_fits_on_a_line(stderr: io.StringIO, value: object, logged: object) -> None:
    log.info("event", value=value)

    assert line(stderr)["value"] == logged


def test_a_value_that_holds_itself_fits_on_a_line(stderr: io.StringIO) -> None:
    shelf: dict[str, object] = {"name": "blue"}
    shelf["above"] = shelf

    log.info("event", shelf=shelf)

    assert line(stderr)["shelf"] == {"name": "blue", "above": "…"}


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", ["debug", "info", "error"]),
        ("info", ["info", "error"]),
        ("error", ["error"]),
        ("critical", []),
    ],
)
@pytest.mark.parametrize("theirs", [False, True], ids=["ours", "standard-library"])
def test_nothing_below_the_level_is_logged(level: Level, seen: list[str], theirs: bool) -> None:
    logger = logging.getLogger("theirs") if theirs else log
    with logging_to(stream := io.StringIO(), level=level):
        logger.debug("event")
        logger.info("event")
        logger.error("event")

    assert [logged["level"] for logged in lines(stream)] == seen


def test_lines_are_json_when_no_terminal_reads_them() -> None:
    with logging_to(stream := io.StringIO(), "auto"):
        log.info("events.stored", accepted=3)

    assert line(stream)["event"] == "events.stored"


@pytest.mark.parametrize(
    ("stream", "format_"), [(Terminal, "auto"), (Terminal, "console"), (io.StringIO, "console")]
)
def test_lines_are_readable_on_a_terminal_or_when_asked_for(
    stream: type[io.StringIO], format_: Form
) -> None:
    with logging_to(stderr := stream(), format_):
        log.info("events.stored", accepted=3)

    logged = stderr.getvalue()
    assert "events.stored" in logged
    assert "accepted" in logged
    assert not logged.startswith("{")


def test_only_a_terminal_gets_colours() -> None:
    with logging_to(plain := io.StringIO(), "console"):
        log.info("events.stored", accepted=3)
    with logging_to(colourful := Terminal(), "console"):
        log.info("events.stored", accepted=3)

    assert "accepted=3" in plain.getvalue()
    assert "\x1b" not in plain.getvalue()
    assert "\x1b" in colourful.getvalue()


def test_a_terminal_gets_json_when_asked_for() -> None:
    with logging_to(stream := Terminal(), "json"):
        log.info("events.stored")

    assert line(stream)["event"] == "events.stored"


def test_a_traceback_is_readable_on_a_terminal() -> None:
    with logging_to(stream := Terminal(), "console"):
        try:
            raise ValueError("the shelf fell down")
        except ValueError:
            log.exception("shelf.broke")

    assert "\nTraceback (most recent call last):\n" in stream.getvalue()


def test_what_is_bound_stands_on_every_line_of_the_block(stderr: io.StringIO) -> None:
    with bind(run="r1"):
        log.info("run.started")
        with bind(step=2):
            logging.getLogger("some.library").info("select")
        log.info("run.finished")
    log.info("idle")

    assert [(logged.get("run"), logged.get("step")) for logged in lines(stderr)] == [
        ("r1", None),
        ("r1", 2),
        ("r1", None),
        (None, None),
    ]


def test_what_is_bound_is_gone_after_an_error(stderr: io.StringIO) -> None:
    with pytest.raises(ValueError, match="odd"), bind(run="r1"):
        raise ValueError("odd")
    log.info("idle")

    assert "run" not in line(stderr)


def test_what_is_tagged_stays_on_all_lines_until_it_is_taken_off(stderr: io.StringIO) -> None:
    tag(caller="c1")
    log.info("tagged")
    untag("caller", "nothing")
    log.info("untagged")

    assert [line.get("caller") for line in lines(stderr)] == ["c1", None]


def test_what_one_task_binds_another_does_not_see(stderr: io.StringIO) -> None:
    async def handle(request: str, barrier: asyncio.Barrier) -> None:
        with bind(request=request):
            await barrier.wait()
            log.info("request.finished", expected=request)

    async def both() -> None:
        barrier = asyncio.Barrier(2)
        await asyncio.gather(handle("a", barrier), handle("b", barrier))

    asyncio.run(both())

    assert sorted(logged["request"] for logged in lines(stderr)) == ["a", "b"]
    assert all(logged["request"] == logged["expected"] for logged in lines(stderr))


# Secrets: wherever a canary hides, it never comes out; the marker beside it always does.

SECRET_KEYS = [
    "password",
    "Password",
    "DB_PASSWORD",
    "passwd",
    "pwd",
    "passphrase",
    "API-Key",
    "api_key",
    "X-Api-Key",
    "apikey",
    "access_token",
    "accessToken",
    "refresh-token",
    "Authorization",
    "Proxy-Authorization",
    "client_secret",
    "clientSecret",
    "Cookie",
    "Set-Cookie",
    "private_key",
    "private-key",
    "signing_key",
    "aws_secret_access_key",
    "credentials",
    "session_id",
    "dsn",
]
PLAIN_KEYS = st.sampled_from(["shelf", "host", "config", "headers", "0", "key", "user"])


@dataclass
class Login:
    """A dataclass with a field that is secret by its name."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Box:
    """A dataclass that holds anything."""

    inside: object


class Account(BaseModel):
    """A model with fields that are secret by name and by type."""

    owner: str
    api_key: str
    pin: SecretStr


class Crate(BaseModel):
    """A model that holds anything."""

    inside: Any


def in_a_url(scheme: str, user: str, noise: str) -> str:
    return f"cannot reach {scheme}://{user}:{noise}{CANARY}@db.example.com:5432/{MARKER}?a=b"


urls = st.builds(
    in_a_url,
    st.sampled_from(["postgresql", "postgresql+psycopg", "redis", "amqps", "https", "S3"]),
    st.sampled_from(["", "reader", "a.b-c", "50%25"]),
    st.text("aZ9:@%?#&=+.,;'\"!$*~-_()[]{}|^é", max_size=4),
)

hidden = st.sampled_from([CANARY, [CANARY], {"value": CANARY}, (SecretStr(CANARY),), f"a {CANARY}"])

secrets = (
    st.builds(lambda key, value: {key: value, "note": MARKER}, st.sampled_from(SECRET_KEYS), hidden)
    | st.just([SecretStr(CANARY), MARKER])
    | st.just((MARKER, SecretBytes(CANARY.encode())))
    | st.just({SecretStr(CANARY): MARKER})
    | st.just(Login(MARKER, CANARY))
    | st.just(Account(owner=MARKER, api_key=CANARY, pin=SecretStr(CANARY)))
    | urls
    | urls.map(lambda url: {url: url})
    | urls.map(ValueError)
)

nested = st.recursive(
    secrets,
    lambda inner: st.lists(inner, min_size=1, max_size=3)
    | st.lists(inner, min_size=1, max_size=3).map(tuple)
    | st.dictionaries(PLAIN_KEYS, inner, min_size=1, max_size=3)
    | st.builds(Box, inner)
    | st.builds(Crate, inside=inner),
    max_leaves=6,
)


def as_a_field(value: object) -> None:
    log.info("event", shelf=value)


def as_an_argument(value: object) -> None:
    log.info("event %s", value)


def as_the_event(value: Any) -> None:
    log.info(value)


def as_an_extra(value: object) -> None:
    logging.getLogger("theirs").info("event", extra={"shelf": value})


def as_a_binding(value: object) -> None:
    with bind(shelf=value):
        logging.getLogger("theirs").info("event")


@pytest.mark.parametrize("format_", ["json", "console"])
@given(
    st.sampled_from([as_a_field, as_an_argument, as_the_event, as_an_extra, as_a_binding]), nested
)
def test_no_secret_is_ever_logged(format_: Form, write: Any, value: object) -> None:
    with logging_to(stream := io.StringIO(), format_):
        write(value)

    assert CANARY not in stream.getvalue()
    assert MARKER in stream.getvalue()


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_field_with_a_secrets_name_is_redacted(format_: Form, key: str) -> None:
    with logging_to(stream := io.StringIO(), format_):
        log.info("event", **{key: CANARY, "note": MARKER})
        logging.getLogger("theirs").info("event", extra={key: CANARY})

    assert CANARY not in stream.getvalue()
    assert stream.getvalue().count("[redacted]") == 2
    assert MARKER in stream.getvalue()


@pytest.mark.parametrize("format_", ["json", "console"])
@given(urls)
def test_no_password_of_a_url_is_logged_with_an_exception(format_: Form, url: str) -> None:
    with logging_to(stream := io.StringIO(), format_):
        try:
            raise OSError(url)
        except OSError:
            log.exception("connection.failed")

    assert CANARY not in stream.getvalue()
    assert MARKER in stream.getvalue()


@given(urls)
def test_no_password_of_a_url_is_logged_by_the_standard_library(url: str) -> None:
    with logging_to(stream := io.StringIO()):
        logging.getLogger("theirs").info("connecting: %s", url)

    assert CANARY not in stream.getvalue()
    assert MARKER in stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8001/livez",
        "https://example.com/a@b",
        "me@example.com",
        "12:30: nobody@home",
    ],
)
def test_text_without_a_secret_is_logged_as_it_is(stderr: io.StringIO, text: str) -> None:
    log.info("event", text=text)

    assert line(stderr)["text"] == text


@pytest.mark.parametrize("key", ["key", "keys", "passed", "shelf", "author", "discount_code"])
def test_a_harmless_key_hides_nothing(stderr: io.StringIO, key: str) -> None:
    log.info("event", **{key: MARKER})

    assert line(stderr)[key] == MARKER


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user@server:{CANARY}@host/db",
        f"postgres://u:ca/{CANARY}@host",
        f"https://{CANARY}@example.com/x",
    ],
)
def test_whatever_stands_before_the_host_of_a_url_is_hidden(stderr: io.StringIO, url: str) -> None:
    log.info("event", message=f"cannot reach {url} now")

    assert CANARY not in stderr.getvalue()
    assert "now" in stderr.getvalue()


@pytest.mark.parametrize(
    "key",
    ["DB_PWD", "passwords", "password_hash", "DATABASE_DSN", "api key", "jwt", "encryption-key",
     "connection_string"],
)  # fmt: skip
def test_a_secret_goes_by_many_names(stderr: io.StringIO, key: str) -> None:
    log.info("event", settings={key: CANARY})

    assert CANARY not in stderr.getvalue()


class Visitor(NamedTuple):
    user: str
    password: str


@pytest.mark.parametrize(
    "value",
    [
        [("authorization", CANARY)],
        {b"password": CANARY},
        Visitor("ann", CANARY),
        deque([{"token": CANARY}]),
        {"token": CANARY}.items(),
    ],
    ids=["pair", "bytes-key", "named-tuple", "deque", "items"],
)
def test_a_secret_is_hidden_in_whatever_holds_it(stderr: io.StringIO, value: object) -> None:
    log.info("event", value=value)

    assert CANARY not in stderr.getvalue()


def test_the_arguments_of_a_standard_message_are_cleaned(stderr: io.StringIO) -> None:
    logging.getLogger("some.library").info("%s after %.1f s", {"password": CANARY}, 1.25)

    assert CANARY not in stderr.getvalue()
    assert "after 1.2 s" in line(stderr)["event"]


def test_a_value_that_cannot_be_shown_does_not_stop_the_line(stderr: io.StringIO) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError(CANARY)

    log.info("event", value=Broken())

    assert line(stderr)["value"] == "<Broken: RuntimeError>"
