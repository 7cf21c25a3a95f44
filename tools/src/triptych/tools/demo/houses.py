"""Where the demo takes place: processes of this machine, or containers."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
from rich.console import Console

from triptych.core.errors import TriptychError
from triptych.testing.processes import run, running
from triptych.tools.containers import IMAGES, composed, lay
from triptych.tools.pants import pants
from triptych.tools.repository import ROOT
from triptych.tools.shop import DELIVERIES, deliveries

OUT: Final = Console()
_SHOP: Final = ROOT / "examples" / "shop"
_PIPELINES: Final = ("examples/shop/pipelines/sales.yaml", "examples/shop/pipelines/refunds.yaml")
_SECONDS: Final = 30.0
_START_SECONDS: Final = 120.0


class DemoFailed(TriptychError):
    """The demo did not come to its end."""

    hint = "See the message above; ./triptych test tells more."


@dataclass(frozen=True, slots=True)
class House:
    """The services at work."""

    client: httpx2.Client
    ingestion: str
    analytics: str
    transform: Callable[[int], None]
    """Turn so many accepted events into tables."""
    again: str
    """The command that does so for what comes later; empty if nobody has to."""
    header: str = ""
    """What `curl` has to send with each request."""


@contextmanager
def local(folder: Path) -> Iterator[House]:
    """As processes of this machine, with files for databases."""
    settings = {
        "TRIPTYCH_EVENTLOG_URL": f"sqlite:///{folder}/eventlog.db",
        "TRIPTYCH_LAKE_URL": f"{folder}/lake",
        "TRIPTYCH_STATE_URL": f"sqlite:///{folder}/etl.db",
        "TRIPTYCH_ACCESS_URL": f"sqlite:///{folder}/analytics.db",
        "TRIPTYCH_CONTRACTS_DIR": str(_SHOP / "contracts"),
        "TRIPTYCH_METRICS_DIR": str(_SHOP / "metrics"),
    }

    def transform(_: int) -> None:
        quiet = {**settings, "TRIPTYCH_LOG__LEVEL": "warning"}
        result = run("etl", "run", *(str(ROOT / pipeline) for pipeline in _PIPELINES), env=quiet)
        if result.returncode:
            raise DemoFailed(result.stderr)
        OUT.print(result.stdout.rstrip(), highlight=False, soft_wrap=True)

    urls = " ".join(f"{name}={value}" for name, value in settings.items() if "_URL" in name)
    again = f"{urls} \\\n  .venv/bin/etl run {' '.join(_PIPELINES)}\n"
    with (
        running("ingestion", settings) as ingestion,
        running("analytics", settings) as analytics,
        httpx2.Client(timeout=_SECONDS) as client,
    ):
        yield House(client, ingestion.url, analytics.url, transform, again)


@contextmanager
def in_containers(folder: Path) -> Iterator[House]:
    """As containers, with PostgreSQL, Valkey and an object store; etl works whenever something is new."""
    OUT.print("\n[bold]0. Containers: Pants builds the images, where they are not there yet[/bold]")
    with OUT.status("building"):
        pants(ROOT, "package", *IMAGES)
    with ExitStack() as stack:
        with OUT.status("starting"):
            compose, storage = stack.enter_context(composed(folder))
            scopes = [f"--scope={scope}" for scope in ("write", "read")]
            told = compose("run", "--rm", "-T", "ingestion", "keys", "create", "demo", *scopes)
            compose("up", "--detach")
            headers = {"Authorization": f"Bearer {told.split()[-1]}"}
            client = stack.enter_context(httpx2.Client(timeout=_SECONDS, headers=headers))
            ingestion, etl, analytics = map(compose.url, ("ingestion", "etl", "analytics"))
            _wait(lambda: _answers(client, f"{analytics}/readyz"), "analytics is not ready")
            _wait(lambda: _answers(client, storage.endpoint), "the object store is not there")
        OUT.print(compose("ps"), highlight=False, markup=False, soft_wrap=True)
        lay(storage, deliveries())

        def transform(accepted: int) -> None:
            sent = {"sales": accepted, "refunds": accepted, "deliveries": DELIVERIES}
            with OUT.status("etl is looking for what is new"):
                _wait(lambda: _read(_runs(client, etl)) == sent, "etl has not read everything")
            OUT.print("\n".join(_runs(client, etl)), highlight=False, soft_wrap=True)

        header = f" -H 'Authorization: {headers['Authorization']}'"
        yield House(client, ingestion, analytics, transform, "", header)


def _answers(client: httpx2.Client, url: str) -> bool:
    try:
        return not client.get(url).is_server_error
    except httpx2.TransportError:
        return False


def _runs(client: httpx2.Client, etl: str) -> Sequence[str]:
    """What runs have written, the first one first."""
    found = checked(client.get(f"{etl}/v1/runs", params={"limit": 1000})).json()["runs"]
    return [output for done in reversed(found) for output in done["outputs"]]


def _read(outputs: Iterable[str]) -> Mapping[str, int]:
    """Of `sales: 1,024 read = …`: how many rows each pipeline has read."""
    found: Counter[str] = Counter()
    for name, _, told in (output.partition(": ") for output in outputs):
        found[name] += int(told.split()[0].replace(",", ""))
    return found


def _wait(until: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not until():
        if time.monotonic() > deadline:
            raise DemoFailed(otherwise)
        time.sleep(0.2)


def checked(answer: httpx2.Response) -> httpx2.Response:
    """The answer, if it is a good one.

    Raises:
        DemoFailed: it is not.
    """
    if answer.status_code not in {httpx2.codes.OK, httpx2.codes.MULTI_STATUS}:
        raise DemoFailed(f"{answer.status_code} {answer.text}")
    return answer
