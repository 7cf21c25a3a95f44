"""What analytics is compared with: DuckDB alone, Datasette and roapi over the same rows, where they are installed."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import quote

import httpx2

from triptych.tools.repository import ROOT

Asking: TypeAlias = Callable[[str], object]
"""Asks for the sums and counts from a time on; returns when the answer is there."""


@contextmanager
def raw_duckdb(files: Sequence[str]) -> Iterator[Asking]:
    """DuckDB alone, in a process that is asked by its standard input."""
    command = [sys.executable, "-c", _RAW, json.dumps(files)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin  # noqa: S101  # they are pipes
        told, answers = process.stdin, process.stdout
        assert answers  # noqa: S101

        def ask(start: str) -> object:
            told.write(f"{start}\n")
            told.flush()
            return answers.readline()

        yield ask


_RAW: Final = """
import json, sys, duckdb
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
files = json.loads(sys.argv[1])
for line in sys.stdin:
    rows = connection.sql(
        "SELECT date_trunc('day', ordered_at) AS day, category, sum(amount), count(*) FROM read_parquet($1)"
        " WHERE ordered_at >= $2::TIMESTAMPTZ GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 10001",
        params=[files, line.strip()],
    ).to_arrow_table()
    print(rows.num_rows, flush=True)
"""


@contextmanager
def datasette(database: Path) -> Iterator[Asking | None]:
    """Datasette over the same rows in SQLite."""
    limits = ["--setting", "sql_time_limit_ms", "600000", "--setting", "max_returned_rows", "10001"]
    port = _free_port()
    command = ["datasette", "serve", str(database), "--port", str(port), *limits]
    sql = (
        "select day, category, sum(amount), count(*) from orders where ordered_at >= :start"
        " group by day, category order by day, category"
    )
    url = f"http://127.0.0.1:{port}"
    with _serving(command, f"{url}/-/versions.json") as client:
        yield (
            None
            if client is None
            else (
                lambda start: client.get(
                    f"{url}/orders.json?sql={quote(sql)}&start={quote(start)}&_shape=arrays"
                ).raise_for_status()
            )
        )


@contextmanager
def roapi(folder: Path, files: Sequence[str]) -> Iterator[Asking | None]:
    """roapi (DataFusion) over the same Parquet files."""
    ports = [_free_port(), _free_port()]
    configuration = {
        "addr": {"http": f"127.0.0.1:{ports[0]}", "postgres": f"127.0.0.1:{ports[1]}"},
        "tables": [
            {
                "name": "orders",
                "uri": str(Path(files[0]).parent),
                "option": {"format": "parquet", "use_memory_table": False},
            }
        ],
    }
    file = folder / "roapi.yaml"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    url = f"http://127.0.0.1:{ports[0]}"
    with _serving(["roapi", "-c", str(file)], f"{url}/api/schema") as client:
        yield (
            None
            if client is None
            else (
                lambda start: client.post(
                    f"{url}/api/sql",
                    content="SELECT date_trunc('day', ordered_at) AS day, category, sum(amount), count(*)"
                    f" FROM orders WHERE ordered_at >= '{start.replace(' ', 'T')}'"
                    " GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 10001",
                ).raise_for_status()
            )
        )


@contextmanager
def _serving(command: Sequence[str], ready: str) -> Iterator[httpx2.Client | None]:
    program = Path(sys.executable).with_name(command[0])
    if not program.exists():
        yield None
        return
    with subprocess.Popen(
        [str(program), *command[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    ) as process, httpx2.Client(timeout=600) as client:
        try:
            for _ in range(200):
                try:
                    client.get(ready)
                    break
                except httpx2.TransportError:
                    time.sleep(0.1)
            yield client
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
