"""The services' images with what production has beside them, as docker-compose.yml says: up, asked, and down again."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import pyarrow.fs as pafs
from rich.box import SIMPLE_HEAD
from rich.table import Table

from triptych.core.errors import TriptychError
from triptych.tools.repository import ROOT

BASE: Final = "python:3.11-slim-bookworm"
SERVERS: Final = ("postgres:18-bookworm", "valkey/valkey:9.1", "chrislusf/seaweedfs:4.48")
"""What docker-compose.yml takes from a registry."""
IMAGES: Final = ("services/ingestion:image", "services/etl:image", "services/analytics:image")
_PUBLISHED: Final = {"storage": 8333, "ingestion": 8001, "etl": 8003, "analytics": 8002}


class NoCompose(TriptychError):
    """There is no Docker Compose."""

    hint = "Install Docker with its Compose plugin: https://docs.docker.com/compose/install/."


class DockerFailed(TriptychError):
    """Docker does not do what it was asked for."""

    hint = "See what it said; 'docker version' tells whether the engine runs."


def docker(*arguments: str) -> str:
    """What Docker prints.

    Raises:
        DockerFailed: it fails, with the last of what it said.
    """
    return _run(["docker", *arguments], {})


def has_images(*names: str) -> bool:
    """Whether an engine is there, and has them."""
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "image", "inspect", *names], capture_output=True, check=False)
    return asked.returncode == 0


def layers(image: str) -> Sequence[str]:
    """The digests of what an image's layers hold, the lowest first."""
    found: list[str] = orjson.loads(docker("inspect", "--format", "{{json .RootFS.Layers}}", image))
    return found


def sizes() -> Table:
    """How large the services' images are, beside the base that they share."""
    table = Table("image", box=SIMPLE_HEAD)
    for column in ("MB", "of which the base", "layers of its own"):
        table.add_column(column, justify="right")
    base = _megabytes(BASE)
    for target in IMAGES:
        name = f"triptych-{target.removeprefix('services/').removesuffix(':image')}:dev"
        own = len(layers(name)) - len(layers(BASE))
        table.add_row(name, f"{_megabytes(name):,.0f}", f"{base:,.0f}", f"{own}")
    return table


def _megabytes(image: str) -> float:
    return int(docker("inspect", "--format", "{{.Size}}", image)) / 1e6


@dataclass(frozen=True, slots=True)
class Storage:
    """The object store's address and keys."""

    endpoint: str
    access_key: str
    secret_key: str


@dataclass(frozen=True, slots=True)
class Compose:
    """The containers of docker-compose.yml, under a name of their own."""

    program: tuple[str, ...]
    environment: Mapping[str, str]

    def __call__(self, *arguments: str) -> str:
        """What Compose prints.

        Raises:
            DockerFailed: it fails, with the last of what it said.
        """
        return _run([*self.program, *arguments], self.environment)

    def url(self, service: str) -> str:
        """Where a service is, for this machine."""
        return f"http://{self('port', service, str(_PUBLISHED[service])).splitlines()[-1]}"


@contextmanager
def composed(folder: Path) -> Iterator[tuple[Compose, Storage]]:
    """The servers that the services need, with secrets in that folder, whose name is theirs; all is removed afterwards.

    Raises:
        NoCompose: there is none.
        DockerFailed: they do not come up.
    """
    access_key, secret_key, password = (secrets.token_hex(16) for _ in range(3))
    told = {
        "database-password": password,
        "database-url": f"postgresql+psycopg://triptych:{password}@postgres/triptych",
        "storage.env": f"AWS_ACCESS_KEY_ID={access_key}\nAWS_SECRET_ACCESS_KEY={secret_key}\n",
    }
    for name, secret in told.items():
        (folder / name).write_text(secret, encoding="utf-8")
        (folder / name).chmod(0o644)  # for the users in the containers: the folder is ours alone
    free = {f"{service.upper()}_PORT": "0" for service in _PUBLISHED}
    own = {"COMPOSE_PROJECT_NAME": folder.name.lower(), "TRIPTYCH_SECRETS": str(folder)}
    compose = Compose(_program(), {**free, **own})
    try:
        compose("up", "--detach", "postgres", "valkey", "storage")
        yield compose, Storage(compose.url("storage"), access_key, secret_key)
    finally:
        compose("down", "--volumes", "--remove-orphans")


def lay(storage: Storage, files: Mapping[str, str]) -> None:
    """Lay files into the object store: the text of each, by its bucket and key.

    Raises:
        OSError: it refuses them.
    """
    system = pafs.S3FileSystem(
        access_key=storage.access_key,
        secret_key=storage.secret_key,
        endpoint_override=storage.endpoint.removeprefix("http://"),
        scheme="http",
        region="us-east-1",
    )
    for name, text in files.items():
        with system.open_output_stream(name) as target:
            target.write(text.encode())


def _run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    told = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        raise DockerFailed(f"{' '.join(command)}: {told.stderr.strip()[-2000:]}")
    return told.stdout.strip()


def _program() -> tuple[str, ...]:
    for program in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(program[0]) is not None:
            asked = subprocess.run([*program, "version"], capture_output=True, check=False)
            if asked.returncode == 0:
                return program
    raise NoCompose
