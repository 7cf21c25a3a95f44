"""Events go in over HTTP, become a table, and come out as a metric: all three services at once."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from triptych.testing.processes import Service, run, running
from triptych.tools.shop import invoices

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"
BATCH = "application/cloudevents-batch+json"


@dataclass
class House:
    """The three services over one data folder."""

    settings: dict[str, str]
    ingestion: Service
    analytics: Service

    def send(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        answer = httpx2.post(
            f"{self.ingestion.url}/v1/events",
            content=orjson.dumps(events),
            headers={"Content-Type": BATCH},
        )
        receipt: dict[str, Any] = answer.json()
        return receipt

    def transform(self) -> str:
        result = run("etl", "run", str(SHOP / "pipelines" / "sales.yaml"), env=self.settings)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def revenue(self) -> dict[str, Decimal]:
        answer = httpx2.get(
            f"{self.analytics.url}/v1/metrics/revenue/query", params={"by": "country"}
        )
        rows = answer.json()["rows"]
        return {row["country"]: Decimal(row["revenue"]) for row in rows}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    settings = {
        "TRIPTYCH_EVENTLOG_URL": f"sqlite:///{tmp_path}/eventlog.db",
        "TRIPTYCH_LAKE_URL": str(tmp_path / "lake"),
        "TRIPTYCH_STATE_URL": f"sqlite:///{tmp_path}/etl.db",
        "TRIPTYCH_ACCESS_URL": f"sqlite:///{tmp_path}/analytics.db",
        "TRIPTYCH_CONTRACTS_DIR": str(SHOP / "contracts"),
        "TRIPTYCH_METRICS_DIR": str(SHOP / "metrics"),
    }
    with ExitStack() as stack:
        ingestion = stack.enter_context(running("ingestion", settings))
        analytics = stack.enter_context(running("analytics", settings))
        yield House(settings, ingestion, analytics)


def test_what_the_tills_sent_is_what_the_metric_says_however_often_it_runs(house: House) -> None:
    sent = list(invoices(300))
    half = len(sent) // 2

    first = house.send(sent[:half])
    house.transform()
    early = house.revenue()
    # The till's connection broke: it sends everything again, and then the rest.
    second = house.send(sent)
    house.transform()
    nothing_new = house.transform()
    late = house.revenue()

    assert early == _revenue(sent[:half], first["outcomes"])
    assert late == _revenue(sent, [*first["outcomes"], *second["outcomes"][half:]])
    assert second["accepted"] + first["accepted"] == _distinct(sent, second["outcomes"])
    assert "0 read" in nothing_new


def _revenue(events: list[dict[str, Any]], outcomes: list[dict[str, Any]]) -> dict[str, Decimal]:
    """By country, of what was accepted and is plausible, computed without any of our code."""
    total: dict[str, Decimal] = defaultdict(Decimal)
    for event, outcome in zip(events, outcomes, strict=True):
        price = Decimal(str(event["data"]["unit_price"]))
        if outcome["status"] == "accepted" and price <= 50_000:
            total[event["data"]["country"]] += event["data"]["quantity"] * price
    return total


def _distinct(events: list[dict[str, Any]], outcomes: list[dict[str, Any]]) -> int:
    return len(
        {
            (event["source"], event["id"])
            for event, outcome in zip(events, outcomes, strict=True)
            if outcome["status"] in {"accepted", "duplicate"}
        }
    )
