"""What the tests of etl share: the sample project, and the command line."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

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
    return {
        "TRIPTYCH_EVENTLOG_URL": database,
        "TRIPTYCH_LAKE_URL": str(tmp_path / "lake"),
        "TRIPTYCH_STATE_URL": f"sqlite:///{tmp_path / 'etl.db'}",
    }


@pytest.fixture
def etl(
    environment: dict[str, str], run_command: Callable[..., subprocess.CompletedProcess[str]]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `etl ARGUMENTS…` in this process; keywords are more environment variables."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_command(main, *arguments, env={**environment, **variables})

    return run
