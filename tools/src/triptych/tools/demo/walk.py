"""The whole house at work: events go in over HTTP, become tables, come out as metrics."""

import itertools
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson
from rich.progress import track
from rich.table import Table

from triptych.tools.demo.houses import OUT, House, checked, in_containers, local
from triptych.tools.shop import invoices

_INVOICES: Final = 4000
_BATCH: Final = 500


def demo(*, keep: bool, containers: bool) -> None:
    """Run the demo; when `keep`, go on serving until Ctrl-C.

    Raises:
        DemoFailed: one of the services refused what it should not.
    """
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="triptych-demo-") as folder,
        (in_containers if containers else local)(Path(folder)) as house,
    ):
        _title("1. Ingestion: the shop's tills send their invoices, in batches, over HTTP")
        accepted = _send(house)
        _title("2. ETL: pipelines turn the events into tables")
        house.transform(accepted)
        _title("3. Analytics: the tables answer as metrics")
        _ask(house)
        OUT.print(f"\nAll of this took {time.monotonic() - started:.1f} s.")
        if keep:
            _title("It is yours to try; Ctrl-C ends it and removes its data")
            _invite(house)
            _wait_for_interrupt()


def _send(house: House) -> int:
    counts: Counter[str] = Counter()
    batches = list(_batched(invoices(_INVOICES), _BATCH))
    for batch in track(
        batches, "sending", console=OUT, transient=True, disable=not OUT.is_terminal
    ):
        answer = house.client.post(
            f"{house.ingestion}/v1/events",
            content=orjson.dumps(batch),
            headers={"Content-Type": "application/cloudevents-batch+json"},
        )
        receipt = checked(answer).json()
        counts.update({name: receipt[name] for name in _STATUSES})
    sent = sum(len(batch) for batch in batches)
    OUT.print(f"{sent:,} sent = " + " + ".join(f"{counts[name]:,} {name}" for name in _STATUSES))
    return counts["accepted"]


def _ask(house: House) -> None:
    for title, column, query, key in (
        ("Revenue by month", "month", {"grain": "month"}, lambda row: row["time"][:7]),
        (
            "Revenue by country",
            "country",
            {"by": "country"},
            lambda row: row["country"],
        ),
    ):
        url = f"{house.analytics}/v1/metrics/revenue/query"
        answer = checked(house.client.get(url, params=query))
        source = answer.json()["tables"][0]
        OUT.print(f"\n{title}, from {source['name']} version {source['version']}:")
        OUT.print(_table(column, answer.json(), key))


def _table(column: str, answer: dict[str, Any], key: Callable[[dict[str, Any]], str]) -> Table:
    table = Table()
    table.add_column(column)
    table.add_column(f"revenue, {answer['metrics'][0]['unit']}", justify="right")
    for row in answer["rows"]:
        whole, _, fraction = row["revenue"].partition(".")
        table.add_row(key(row), f"{int(whole):,}.{fraction[:2]}")
    return table


def _invite(house: House) -> None:
    event = next(invoices(1, seed=11))
    OUT.print(
        f"""
curl{house.header} '{house.analytics}/v1/metrics'
curl{house.header} '{house.analytics}/v1/metrics/revenue/query?grain=quarter&by=country'
curl{house.header} '{house.ingestion}/v1/events' -H 'Content-Type: application/cloudevents+json' \\
  -d '{orjson.dumps(event).decode()}'
{house.again}
Dashboard:                 {house.analytics}/
Interactive documentation: {house.ingestion}/docs and {house.analytics}/docs
Health and measurements:   {house.ingestion}/readyz and {house.ingestion}/metrics
""",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


def _wait_for_interrupt() -> None:
    try:
        signal.pause()
    except KeyboardInterrupt:
        OUT.print("\nStopping.")


def _batched(events: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    while batch := list(itertools.islice(events, size)):
        yield batch


def _title(text: str) -> None:
    OUT.print(f"\n[bold]{text}[/bold]")


_STATUSES = ("accepted", "duplicate", "conflict", "rejected")
