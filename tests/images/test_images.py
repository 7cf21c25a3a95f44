"""Each image holds its service's closure and no more, and runs as a stranger would let it: read-only, as nobody."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from triptych.tools.workspace import closure, packages

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {package.name: package for package in packages(ROOT)}
SERVICES = sorted(name for name, package in PACKAGES.items() if package.is_service)
SECONDS = 60
CONFINED = (
    *("--read-only", "--tmpfs", "/tmp"),  # noqa: S108  # the container's own
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--memory", "1g", "--pids-limit", "256"),
)


def _engine() -> bool:
    if (docker := shutil.which("docker")) is None:
        return False
    return subprocess.run([docker, "version"], capture_output=True, check=False).returncode == 0


def _base() -> bool:
    return _engine() and bool(_docker("images", "--quiet", "python:3.11-slim-bookworm"))


def _docker(*arguments: str) -> str:
    command = ["docker", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not _base(), reason="no Docker engine with python:3.11-slim-bookworm"),
]


@dataclass(frozen=True)
class Image:
    """A service's image, and a volume for what it keeps."""

    service: str
    volume: str

    @property
    def name(self) -> str:
        return f"triptych-{self.service}:dev"

    def options(self, *more: str) -> tuple[str, ...]:
        """How its containers run."""
        examples = ROOT / "examples" / "shop"
        service = self.service.upper()
        folders = {"TRIPTYCH_CONTRACTS_DIR": "contracts", "TRIPTYCH_METRICS_DIR": "metrics"}
        return (
            *CONFINED,
            *("--volume", f"{self.volume}:/var/lib/triptych"),
            *("--volume", f"{examples}:/etc/triptych:ro"),
            *(o for n, v in folders.items() for o in ("--env", f"{n}=/etc/triptych/{v}")),
            *("--env", f"TRIPTYCH_{service}__DRAIN_SECONDS=0"),
            *more,
        )

    def run(self, *command: str) -> str:
        """Run a command of the service, to its end."""
        return _docker("run", "--rm", *self.options(), self.name, *command)

    def python(self, program: str) -> str:
        """What a program prints in it."""
        options = ("--rm", *CONFINED, "--entrypoint", "/app/bin/python")
        return _docker("run", *options, self.name, "-c", program)


@pytest.fixture(scope="module", params=SERVICES)
def image(request: pytest.FixtureRequest) -> Iterator[Image]:
    """An image as Pants builds it."""
    service = request.param
    command = ["./pants", "--no-dynamic-ui", "package", f"services/{service}:image"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    volume = _docker("volume", "create")
    yield Image(service, volume)
    _docker("volume", "rm", "--force", volume)


def test_it_holds_its_closure_and_nothing_else(image: Image) -> None:
    needed = closure(list(PACKAGES.values()), image.service)

    held = image.python(
        "import importlib.metadata, json; print(json.dumps([d.name for d in importlib.metadata.distributions()]))"
    )

    names = set(json.loads(held))
    assert {n.removeprefix("triptych-") for n in names if n.startswith("triptych-")} == needed
    assert not names & {"pytest", "mypy", "ruff", "hypothesis", "uv", "pex", "playwright"}


def test_it_says_what_it_is_and_how_it_is_stopped(image: Image) -> None:
    config = json.loads(_docker("inspect", "--format", "{{json .Config}}", image.name))

    assert (config["User"], config["StopSignal"]) == ("10001:10001", "SIGTERM")
    assert config["Healthcheck"]["Test"][0] == "CMD"  # no shell
    labels = {name.rpartition(".")[2] for name in config["Labels"]}
    assert {"title", "source", "revision", "version", "licenses"} <= labels


def test_it_starts_read_only_as_nobody_serves_and_drains(image: Image) -> None:
    key = image.run("keys", "create", "a test", "--scope", "read")
    container = _docker("run", "--detach", *image.options(), image.name)
    ask = (
        "import sys, urllib.request as r; port, key = sys.argv[1:];"
        "ask = r.Request(f'http://127.0.0.1:{port}/metrics', headers={'Authorization': f'Bearer {key}'});"
        "print(r.urlopen(ask, timeout=5).status)"
    )
    try:
        health = "{{.State.Health.Status}}"
        for _ in range(SECONDS):
            if _docker("inspect", "--format", health, container) == "healthy":
                break
            subprocess.run(["sleep", "1"], check=True)
        [port] = json.loads(
            _docker("inspect", "--format", "{{json .Config.ExposedPorts}}", image.name)
        )
        status = _docker("exec", container, "/app/bin/python", "-c", ask, port.split("/")[0], key)
        who = _docker("exec", container, "/app/bin/python", "-c", "import os; print(os.getuid())")
        _docker("stop", "--time", "20", container)
        ended = _docker("inspect", "--format", "{{.State.ExitCode}}", container)
    finally:
        _docker("rm", "--force", container)

    assert (status, who, ended) == ("200", "10001", "0")
