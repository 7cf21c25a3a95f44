"""What holds for every test: hypothesis' profiles, commands in this process, an open folder."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest
import structlog
from hypothesis import HealthCheck, settings

from triptych.testing.postgres import PostgresServer, postgres

# `dev` is for the editor, `ci` for the last word. Both are deterministic: a failure comes back.
settings.register_profile("dev", max_examples=30, deadline=None, derandomize=True)
settings.register_profile(
    "ci",
    max_examples=75,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


class RunCommand(Protocol):
    """Runs the `main` of a command with arguments and environment variables."""

    def __call__(
        self, main: Callable[[], None], *arguments: str, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def run_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[RunCommand]:
    """Run a command as a person would, but in this process: a second faster than a new one."""

    def run(
        main: Callable[[], None], *arguments: str, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests of this process."""
    with postgres(autovacuum=False) as server:
        yield server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], str]:
    """Makes databases with nothing in them, of every kind that is supported; gives their URLs."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path_factory.mktemp('database') / 'eventlog.db'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database
