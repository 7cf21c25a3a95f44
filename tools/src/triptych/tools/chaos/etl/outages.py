"""What etl reads from and writes to goes away, is full, or is damaged; and comes back."""

import time
from pathlib import Path

from triptych.testing.postgres import PostgresServer, postgres
from triptych.tools.chaos.disk import NoDisk, small_disk
from triptych.tools.chaos.etl.workshop import EXACTLY_ONCE, PIPELINE, workshop
from triptych.tools.chaos.verdict import Findings, Verdict

_FROM_SQL = """
version: 1
name: orders
source: {sql: {url: "${SHOP}", table: orders, cursor: n}}
sink: {lake: {table: orders}}
"""


def disk_full(*, megabytes: int, rows: int) -> Verdict:
    """Fill the disk that everything is on, and make room again."""
    findings = Findings("disk full", f"exit code 1 and a message, nothing half; {EXACTLY_ONCE}")
    try:
        with small_disk(megabytes) as disk, workshop(disk) as shop:
            path = shop.pipeline(PIPELINE)
            shop.arrive(rows)
            findings.add("before", holds=shop.run("run", path).code == 0)
            shop.arrive(rows)
            ballast = _fill(disk)
            full = shop.run("run", path)
            findings.add(f"full: exit code {full.code}", holds=full.code == 1 and full.foreseen)
            ballast.unlink()
            findings.add("after", holds=shop.run("run", path).code == 0)
            shop.check(findings)
    except NoDisk as error:
        return findings.skipped(str(error))
    return findings.verdict()


def source_dies(*, rows: int) -> Verdict:
    """Kill the PostgreSQL that rows are read from, in the middle of it, and start it again."""
    findings = Findings(
        "the source dies in the middle", f"exit code 1 and a message; {EXACTLY_ONCE}"
    )
    with postgres() as server, workshop() as shop:
        url = server.create_database()
        name = url.partition("@/")[2].partition("?")[0]
        path = shop.pipeline(_FROM_SQL)
        _orders(server, name, rows)
        seen = 0
        for part in range(5):
            run = shop.start("run", path, SHOP=url)
            time.sleep(0.25 * (part + 1))
            server.kill()
            run.wait()
            seen += run.code == 1
            findings.held = findings.held and run.foreseen
            server.start()
        findings.add(f"5 times killed, {seen} runs said so", holds=seen > 0)
        again = shop.run("run", path, SHOP=url)
        findings.add("recovered", holds=again.code == 0)
        ids = shop.column("orders", "n")
        lost, twice = rows - len(set(ids)), len(ids) - len(set(ids))
        findings.add(f"{rows:,} rows, {lost} lost, {twice} twice", holds=not lost + twice)
    return findings.verdict()


def log_cut_off(*, rows: int) -> Verdict:
    """The last entry of a table's log is cut off, as when power fails before it is on the disk."""
    findings = Findings(
        "the table's log is cut off", f"it is said, and mended by removing it; {EXACTLY_ONCE}"
    )
    with workshop() as shop:
        path = shop.pipeline(PIPELINE)
        shop.arrive(rows)
        shop.run("run", path)
        log = shop.folder / "lake" / "orders" / "_delta_log"
        newest = max(log.glob("*.json"))
        torn = newest.with_name(f"{int(newest.stem) + 1:020}.json")
        torn.write_bytes(newest.read_bytes()[:100])
        shop.arrive(rows)
        run = shop.run("run", path)
        findings.add(
            f"exit code {run.code}: {run.error[:80]}", holds=run.code == 1 and run.foreseen
        )
        torn.unlink()
        findings.add("mended", holds=shop.run("run", path).code == 0)
        shop.check(findings)
    return findings.verdict()


def _fill(disk: Path) -> Path:
    """Take all the room there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


def _orders(server: PostgresServer, database: str, rows: int) -> None:
    psql = [str(server.binaries / "psql"), "-h", str(server.folder), "-U", "postgres", "-Xq"]
    columns = "n, md5(n::text) AS id, repeat('x', 200) AS note"
    statement = f"CREATE TABLE orders AS SELECT {columns} FROM generate_series(1, {rows}) AS n"  # noqa: S608
    server.identity.run(*psql, "-d", database, "-c", statement)
