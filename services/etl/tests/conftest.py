"""What the tests of etl share: the sample project, and the command line."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from triptych.etl.entrypoints.cli import main

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
def environment(database: str, tmp_path: Path) -> dict[str, str]:
    """The settings for an event log and a lake of the test's own."""
    return {"TRIPTYCH_EVENTLOG_URL": database, "TRIPTYCH_LAKE_URL": str(tmp_path / "lake")}


@pytest.fixture
def etl(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run `etl ARGUMENTS…` in this process; keywords are more environment variables."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        for name, value in {**environment, **variables}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["etl", *arguments])
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
