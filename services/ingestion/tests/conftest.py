"""What the tests of ingestion share: the shop's contracts, a wired service, the command line."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from triptych.ingestion.entrypoints.cli import main
from triptych.ingestion.settings import IngestionSettings
from triptych.ingestion.wiring import Ingestion, wire

ROOT = Path(__file__).parents[3]


@pytest.fixture
def shop() -> Path:
    """The sample project: contracts/ mappings/ pipelines/ metrics/."""
    return ROOT / "examples" / "shop"


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of an event log that does not exist yet."""
    return f"sqlite:///{tmp_path / 'eventlog.db'}"


@pytest.fixture
def settings(shop: Path, database: str) -> IngestionSettings:
    """Settings for the shop's contracts and an event log of the test's own."""
    return IngestionSettings(eventlog_url=SecretStr(database), contracts_dir=shop / "contracts")


@pytest.fixture
def service(settings: IngestionSettings) -> Iterator[Ingestion]:
    """The service as it is wired in production."""
    with wire(settings) as wired:
        yield wired


@pytest.fixture
def environment(shop: Path, database: str) -> dict[str, str]:
    """`settings`, as environment variables."""
    return {
        "TRIPTYCH_EVENTLOG_URL": database,
        "TRIPTYCH_CONTRACTS_DIR": str(shop / "contracts"),
    }


@pytest.fixture
def ingestion(
    environment: dict[str, str], run_command: Callable[..., subprocess.CompletedProcess[str]]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `ingestion ARGUMENTS…` in this process; keywords are more environment variables."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_command(main, *arguments, env={**environment, **variables})

    return run
