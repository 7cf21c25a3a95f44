"""Whatever is asked is answered as the OpenAPI document says, and never with 500."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from triptych.analytics.entrypoints.http import create_analytics
from triptych.analytics.settings import AnalyticsSettings, LimitSettings
from triptych.analytics.wiring import wire
from triptych.lake.lake import Lake
from triptych.testing.conformance import conforming


@pytest.fixture
def app(lake: Lake, shop: Path, commit: Callable[[Lake, str, pa.Table], int]) -> Iterator[FastAPI]:
    rows = {
        "event_time": [datetime(2030, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(50)],
        "country": ["France", "Spain"] * 25,
        "cancelled": [False] * 50,
        "revenue": [Decimal("1.50")] * 50,
    }
    commit(lake, "sales", pa.table(rows))
    made = AnalyticsSettings(
        lake_url=str(lake.root),
        metrics_dir=shop / "metrics",
        access_url=SecretStr(f"sqlite:///{lake.root}.db"),
        limit=LimitSettings(burst=0, sustained=0, daily=0),
    )
    with wire(made) as analytics:
        yield create_analytics(analytics)


def test_all_answers_conform_to_the_openapi_document(app: FastAPI) -> None:
    """schemathesis: requests that the document allows, and some that it does not."""
    assert len(conforming(app)) >= 12
