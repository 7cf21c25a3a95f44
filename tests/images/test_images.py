"""Each image holds its service's closure and no more, and runs as a stranger would let it: read-only, as nobody."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from triptych.tools.containers import BASE, docker, has_images, layers
from triptych.tools.repository import NoUv, uv
from triptych.tools.sbom import bill
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
pytestmark = pytest.mark.skipif(not has_images(BASE), reason=f"no Docker engine with {BASE}")


@dataclass(frozen=True)
class Image:
    """A service's image, and a volume for what it keeps."""

    service: str
    volume: str

    @property
    def name(self) -> str:
        return f"triptych-{self.service}:dev"

    @property
    def options(self) -> tuple[str, ...]:
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
        )

    def run(self, *command: str) -> str:
        """Run a command of the service, to its end."""
        return docker("run", "--rm", *self.options, self.name, *command)

    def distributions(self) -> set[str]:
        """The names of what is installed in it."""
        program = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
        return {canonicalize_name(name) for name in self.python(program).split()}

    def python(self, program: str) -> str:
        """What a program prints in it."""
        options = ("--rm", *CONFINED, "--entrypoint", "/app/bin/python")
        return docker("run", *options, self.name, "-c", program)


@pytest.fixture
def has_uv() -> None:
    try:
        uv()
    except NoUv:
        pytest.skip("there is no uv here")


@pytest.fixture(scope="module", params=SERVICES)
def image(request: pytest.FixtureRequest, built: None) -> Iterator[Image]:
    """An image as Pants builds it."""
    volume = docker("volume", "create")
    yield Image(request.param, volume)
    docker("volume", "rm", "--force", volume)


def test_it_holds_its_closure_and_nothing_else(image: Image) -> None:
    needed = closure(list(PACKAGES.values()), image.service)

    held = image.distributions()

    own = {name for name in held if name.startswith("triptych-")}
    assert own == {f"triptych-{name}" for name in needed}
    assert not held & {"pytest", "mypy", "ruff", "hypothesis", "uv", "pex", "playwright"}


def test_its_bill_of_materials_names_all_that_it_holds(image: Image, has_uv: None) -> None:
    named = {each["name"] for each in json.loads(bill(ROOT, image.service))["components"]}

    assert image.distributions() - named - {f"triptych-{image.service}"} == set()


def test_it_adds_few_layers_to_its_base(image: Image) -> None:
    base, own = layers(BASE), layers(image.name)

    assert own[: len(base)] == base
    assert len(own) - len(base) <= 3  # dependencies, sources; with BuildKit an empty one of WORKDIR


def test_it_says_what_it_is_and_how_it_is_stopped(image: Image) -> None:
    config = json.loads(docker("inspect", "--format", "{{json .Config}}", image.name))

    assert (config["User"], config["StopSignal"]) == ("10001:10001", "SIGTERM")
    assert config["Healthcheck"]["Test"][0] == "CMD"  # no shell
    labels = {name.rpartition(".")[2] for name in config["Labels"]}
    assert {"title", "source", "revision", "version", "licenses"} <= labels


def test_it_starts_read_only_as_nobody_serves_and_drains(image: Image) -> None:
    key = image.run("keys", "create", "a test", "--scope", "read")
    container = docker("run", "--detach", *image.options, image.name)
    ask = (
        "import sys, urllib.request as r; port, key = sys.argv[1:];"
        "ask = r.Request(f'http://127.0.0.1:{port}/metrics', headers={'Authorization': f'Bearer {key}'});"
        "print(r.urlopen(ask, timeout=5).status)"
    )
    try:
        health = "{{.State.Health.Status}}"
        for _ in range(SECONDS):
            if docker("inspect", "--format", health, container) == "healthy":
                break
            subprocess.run(["sleep", "1"], check=True)
        [port] = json.loads(
            docker("inspect", "--format", "{{json .Config.ExposedPorts}}", image.name)
        )
        status = docker("exec", container, "/app/bin/python", "-c", ask, port.split("/")[0], key)
        who = docker("exec", container, "/app/bin/python", "-c", "import os; print(os.getuid())")
        docker("stop", "--time", "20", container)
        ended = docker("inspect", "--format", "{{.State.ExitCode}}", container)
    finally:
        docker("rm", "--force", container)

    assert (status, who, ended) == ("200", "10001", "0")
