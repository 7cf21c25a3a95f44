"""What the tests of ingestion share: the shop's contracts, a wired service, the command line."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
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
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run `ingestion ARGUMENTS…` in this process; keywords are more environment variables."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        for name, value in {**environment, **variables}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["ingestion", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        code = end.value.code
        assert code is None or isinstance(code, int)
        return subprocess.CompletedProcess(arguments, code or 0, *capsys.readouterr())

    monkeypatch.chdir(tmp_path)  # where no .env lies
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield run
    # A command logs to its own standard error: what follows must not.
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
