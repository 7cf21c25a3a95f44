"""The whole house at work: events go in over HTTP, become tables, come out as metrics."""

import itertools
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import orjson
from rich.console import Console
from rich.progress import track
from rich.table import Table

from triptych.core.errors import TriptychError
from triptych.testing.processes import Service, run, running
from triptych.tools.repository import ROOT
from triptych.tools.shop import invoices

SHOP = ROOT / "examples" / "shop"
PIPELINES = ("examples/shop/pipelines/sales.yaml", "examples/shop/pipelines/refunds.yaml")
INVOICES = 4000
BATCH = 500
SECONDS = 30.0

_OUT = Console()


class DemoFailed(TriptychError):
    """The demo did not come to its end."""

    hint = "See the message above; ./triptych test tells more."


def demo(*, keep: bool) -> None:
    """Run the demo; when `keep`, go on serving until Ctrl-C.

    Raises:
        DemoFailed: one of the services refused what it should not.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="triptych-demo-") as folder, ExitStack() as stack:
        settings = {
            "TRIPTYCH_EVENTLOG_URL": f"sqlite:///{folder}/eventlog.db",
            "TRIPTYCH_LAKE_URL": f"{folder}/lake",
            "TRIPTYCH_STATE_URL": f"sqlite:///{folder}/etl.db",
            "TRIPTYCH_ACCESS_URL": f"sqlite:///{folder}/analytics.db",
            "TRIPTYCH_CONTRACTS_DIR": str(SHOP / "contracts"),
            "TRIPTYCH_METRICS_DIR": str(SHOP / "metrics"),
        }
        ingestion = stack.enter_context(running("ingestion", settings))
        analytics = stack.enter_context(running("analytics", settings))
        client = stack.enter_context(httpx2.Client(timeout=SECONDS))

        _title("1. Ingestion: the shop's tills send their invoices, in batches, over HTTP")
        _send(client, ingestion)
        _title("2. ETL: pipelines turn the events into tables")
        _transform(settings)
        _title("3. Analytics: the tables answer as metrics")
        _ask(client, analytics)
        _OUT.print(f"\nAll of this took {time.monotonic() - started:.1f} s.")
        if keep:
            _title("It is yours to try; Ctrl-C ends it and removes its data")
            _invite(ingestion, analytics, settings)
            _wait_for_interrupt()


def _send(client: httpx2.Client, ingestion: Service) -> None:
    counts: Counter[str] = Counter()
    batches = list(_batched(invoices(INVOICES), BATCH))
    for batch in track(
        batches, "sending", console=_OUT, transient=True, disable=not _OUT.is_terminal
    ):
        answer = client.post(
            f"{ingestion.url}/v1/events",
            content=orjson.dumps(batch),
            headers={"Content-Type": "application/cloudevents-batch+json"},
        )
        if answer.status_code not in {200, 207}:
            raise DemoFailed(f"{answer.status_code} {answer.text}")
        receipt = answer.json()
        counts.update({name: receipt[name] for name in _STATUSES})
    sent = sum(len(batch) for batch in batches)
    _OUT.print(f"{sent:,} sent = " + " + ".join(f"{counts[name]:,} {name}" for name in _STATUSES))


def _transform(settings: dict[str, str]) -> None:
    quiet = {**settings, "TRIPTYCH_LOG__LEVEL": "warning"}
    result = run("etl", "run", *(str(ROOT / pipeline) for pipeline in PIPELINES), env=quiet)
    if result.returncode:
        raise DemoFailed(result.stderr)
    _OUT.print(result.stdout.rstrip(), highlight=False, soft_wrap=True)


def _ask(client: httpx2.Client, analytics: Service) -> None:
    for title, column, query, key in (
        ("Revenue by month", "month", {"grain": "month"}, lambda row: row["time"][:7]),
        (
            "Revenue by country",
            "country",
            {"by": "country"},
            lambda row: row["country"],
        ),
    ):
        answer = client.get(f"{analytics.url}/v1/metrics/revenue/query", params=query)
        if answer.status_code != httpx2.codes.OK:
            raise DemoFailed(f"{answer.status_code} {answer.text}")
        source = answer.json()["tables"][0]
        _OUT.print(f"\n{title}, from {source['name']} version {source['version']}:")
        _OUT.print(_table(column, answer.json(), key))


def _table(column: str, answer: dict[str, Any], key: Callable[[dict[str, Any]], str]) -> Table:
    table = Table()
    table.add_column(column)
    table.add_column(f"revenue, {answer['metrics'][0]['unit']}", justify="right")
    for row in answer["rows"]:
        whole, _, fraction = row["revenue"].partition(".")
        table.add_row(key(row), f"{int(whole):,}.{fraction[:2]}")
    return table


def _invite(ingestion: Service, analytics: Service, settings: dict[str, str]) -> None:
    event = next(invoices(1, seed=11))
    environment = " ".join(f"{k}={v}" for k, v in settings.items() if "_URL" in k)
    _OUT.print(
        f"""
curl '{analytics.url}/v1/metrics'
curl '{analytics.url}/v1/metrics/revenue/query?grain=quarter&by=country'
curl '{ingestion.url}/v1/events' -H 'Content-Type: application/cloudevents+json' \\
  -d '{orjson.dumps(event).decode()}'
{environment} \\
  .venv/bin/etl run {' '.join(PIPELINES)}

Dashboard:                 {analytics.url}/
Interactive documentation: {ingestion.url}/docs and {analytics.url}/docs
Health and measurements:   {ingestion.url}/readyz and {ingestion.url}/metrics
""",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


def _wait_for_interrupt() -> None:
    try:
        signal.pause()
    except KeyboardInterrupt:
        _OUT.print("\nStopping.")


def _batched(events: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    while batch := list(itertools.islice(events, size)):
        yield batch


def _title(text: str) -> None:
    _OUT.print(f"\n[bold]{text}[/bold]")


_STATUSES = ("accepted", "duplicate", "conflict", "rejected")
