"""The tour of the interface, as the README gives it."""

import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx2
import pyarrow as pa
import pytest

from triptych.lake.lake import Lake
from triptych.testing.processes import running

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
TOUR = re.findall(r"^    curl -s (.+)$", README, re.MULTILINE)


@pytest.fixture
def shop_lake(lake: Lake, commit: Callable[[Lake, str, pa.Table], int]) -> Lake:
    """Three months of sales."""
    hours = range(24 * 90)
    rows = {
        "event_time": pa.array(
            [datetime(2030, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in hours],
            pa.timestamp("us", "UTC"),
        ),
        "country": [("France", "Spain", "Italy", "Peru")[n % 4] for n in hours],
        "cancelled": [n % 50 == 0 for n in hours],
        "revenue": pa.array([Decimal(n) / 10 for n in hours], pa.decimal128(18, 4)),
    }
    commit(lake, "sales", pa.table(rows))
    return lake


def test_every_step_of_the_tour_can_be_gone(shop_lake: Lake, environment: dict[str, str]) -> None:
    assert len(TOUR) == 12
    with running("analytics", environment) as server:
        for command in TOUR:
            address, *options = shlex.split(command)
            url = f"{server.url}{address.removeprefix('http://').removeprefix('localhost:8002')}"
            if "-d" in options:
                sent = options[options.index("-d") + 1]
                headers = {"Content-Type": "application/json"}
                answer = httpx2.post(url, content=sent, headers=headers)
            else:
                answer = httpx2.get(url)
            assert answer.status_code == 200, (command, answer.text)
            if "query" in command and ".csv" not in command:
                assert answer.json()["rows"], command
