"""The door for programs: `GET /v1/metrics` and `GET /v1/metrics/{name}`."""

from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query
from pydantic import AwareDatetime, BaseModel, Field

from triptych.analytics.application.measure import Measure
from triptych.analytics.domain import query as domain
from triptych.analytics.domain.metric import Metric
from triptych.analytics.wiring import Analytics
from triptych.core.domain.time import Grain
from triptych.service.app import create_app


class MetricBody(BaseModel):
    """A metric, and what can be asked of it."""

    name: str = Field(examples=["revenue"])
    description: str
    unit: str = Field(examples=["GBP"])
    grains: list[Grain]
    dimensions: list[str] = Field(examples=[["country"]])


class MetricsBody(BaseModel):
    """All metrics."""

    metrics: list[MetricBody]


class TableBody(BaseModel):
    """Where an answer comes from."""

    name: str
    version: int


class RowBody(BaseModel):
    """One number. Decimals are text, so that no digit is lost; times are ISO 8601 with offset."""

    time: str | None = Field(default=None, examples=["2030-01-01T00:00:00Z"])
    dimensions: dict[str, str | int | float | bool | None] = {}
    value: str | int | float | bool | None = Field(examples=["1204.50"])


class AnswerBody(BaseModel):
    """The answer to a query about a metric."""

    metric: MetricBody
    table: TableBody
    rows: list[RowBody]
    truncated: bool = Field(description="Whether there are more rows than `limit`.")


def create_analytics(analytics: Analytics) -> FastAPI:
    """The service's HTTP application."""
    return create_app(
        title="Triptych analytics",
        description="Metrics over the lake's tables.",
        version=version("triptych-analytics"),
        routers=[metric_routes(analytics.measure)],
        probes={"lake": analytics.tables.check},
    )


def metric_routes(measure: Measure) -> APIRouter:
    """`GET /v1/metrics` and `GET /v1/metrics/{name}`."""
    router = APIRouter(prefix="/v1", tags=["metrics"])

    @router.get("/metrics", summary="The metrics that can be asked for.")
    def list_metrics() -> MetricsBody:
        return MetricsBody(metrics=[_metric(name, m) for name, m in measure.metrics.items()])

    @router.get(
        "/metrics/{name}",
        summary="A metric over time, as it stands in the newest version of its table.",
    )
    def get_metric(
        name: str,
        start: Annotated[
            AwareDatetime | None, Query(alias="from", description="The first moment that counts.")
        ] = None,
        end: Annotated[
            AwareDatetime | None,
            Query(alias="to", description="The first moment that does not count any more."),
        ] = None,
        grain: Annotated[
            Grain | None, Query(description="The length of the buckets of time, in UTC.")
        ] = None,
        by: Annotated[
            list[str] | None, Query(description="A dimension; repeat it for several.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=domain.MAX_ROWS)] = 1000,
    ) -> AnswerBody:
        query = domain.Query(start, end, grain, tuple(by or ()), limit)
        answer = measure(name, query)
        return AnswerBody(
            metric=_metric(name, measure.metrics[name]),
            table=TableBody(name=answer.table, version=answer.version),
            rows=[_row(row, query.by) for row in answer.rows],
            truncated=answer.truncated,
        )

    return router


def _metric(name: str, metric: Metric) -> MetricBody:
    return MetricBody(
        name=name,
        description=metric.description,
        unit=metric.unit,
        grains=list(Grain),
        dimensions=list(metric.dimensions),
    )


def _row(row: domain.Row, by: tuple[str, ...]) -> RowBody:
    return RowBody(
        time=_iso(row.time) if row.time else None,
        dimensions={name: _plain(v) for name, v in zip(by, row.dimensions, strict=True)},
        value=_plain(row.value),
    )


def _plain(value: domain.Cell) -> str | int | float | bool | None:
    match value:
        case Decimal():
            return f"{value:f}"
        case datetime():
            return _iso(value)
        case date():
            return value.isoformat()
        case _:
            return value


def _iso(at: datetime) -> str:
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
