"""`/v1/metrics`: what can be asked, and the answers; `/v1/query`: of several metrics at once."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from triptych.analytics.application.asking import Asked
from triptych.analytics.application.ports import Part, Versions
from triptych.analytics.domain.columns import ColumnType
from triptych.analytics.domain.metric import Metric
from triptych.analytics.domain.query import MetricQuery, find, types_of
from triptych.analytics.entrypoints.answers import ExplainedBody, Service, Wanted, explained, routed
from triptych.analytics.entrypoints.formats import Suffix, iso, media_type
from triptych.analytics.entrypoints.parameters import Cut, ManyMetrics, answer_columns, as_of
from triptych.core.domain.time import UTC_ZONE, Grain


class DimensionBody(BaseModel):
    """What a metric can be broken down and filtered by."""

    name: str = Field(examples=["country"])
    description: str
    values: list[str] | None = Field(default=None, description="All values, if they are declared.")
    type: ColumnType | None = Field(default=None, description="What they are; told of one metric.")


class MetricBody(BaseModel):
    """A metric, and what can be asked of it."""

    name: str = Field(examples=["revenue"])
    description: str
    unit: str = Field(examples=["GBP"])
    format: str
    zone: str
    grains: list[Grain]
    dimensions: list[DimensionBody]
    hierarchies: dict[str, list[str]] = {}


class MetricsBody(BaseModel):
    """All metrics."""

    metrics: list[MetricBody]


class DefinitionBody(MetricBody):
    """A metric, what is there of it, and how fresh that is."""

    table: str
    version: int
    committed_at: str = Field(examples=["2030-01-01T00:00:00Z"])
    first: str | None = Field(description="The first time that there is a row for.")
    last: str | None = Field(description="The last one.")


def metric_routes(service: Service) -> APIRouter:
    """`/v1/metrics` and `/v1/query`."""
    router = APIRouter(
        prefix="/v1",
        tags=["metrics"],
        route_class=service.route,
        dependencies=[Depends(service.reader)],
    )
    charged = [Depends(service.charge)]

    async def query_metric(
        request: Request, name: str, cut: Annotated[Cut, Query()], suffix: Suffix | None = None
    ) -> Response:
        metrics = {name: find(service.metrics.metrics, name)}
        wanted = await run_in_threadpool(_wanted, service, request, metrics, cut, suffix)
        return await service.answer(request, wanted)

    routed(
        router,
        "/metrics/{name}/query",
        query_metric,
        summary="A metric's values: over which time, cut how.",
    )

    @router.get(
        "/metrics",
        summary="The metrics that can be asked for.",
        dependencies=charged,
        response_model_exclude_unset=True,
    )
    def list_metrics() -> MetricsBody:
        found = service.metrics.metrics
        return MetricsBody(metrics=[MetricBody(**_told(n, m)) for n, m in found.items()])

    @router.get(
        "/metrics/{name}",
        summary="A metric: what it is, what there is, how fresh it is.",
        dependencies=charged,
    )
    def get_metric(name: str) -> DefinitionBody:
        return _definition(service, name, find(service.metrics.metrics, name))

    @router.post("/query", summary="The values of several metrics.", response_class=Response)
    async def query(request: Request, cut: ManyMetrics) -> Response:
        metrics = {name: find(service.metrics.metrics, name) for name in cut.metrics}
        wanted = await run_in_threadpool(_wanted, service, request, metrics, cut, None)
        return await service.answer(request, wanted)

    @router.get(
        "/metrics/{name}/explain", summary="How a question would be answered.", dependencies=charged
    )
    def explain(name: str, cut: Annotated[Cut, Query()]) -> ExplainedBody:
        metrics = {name: find(service.metrics.metrics, name)}
        return explained(service, Asked(*_query(service, metrics, cut), Part(cut.limit)))

    return router


def _definition(service: Service, name: str, metric: Metric) -> DefinitionBody:
    versions = service.ask.versions(metric.tables, None)
    table = versions[metric.table]
    first, last = service.ask.tables.time_range(table, metric.time)
    types = types_of(metric, {name: each.columns for name, each in versions.items()})
    told = _told(name, metric)
    for dimension in told["dimensions"]:
        dimension["type"] = types.get(dimension["name"])
    return DefinitionBody(
        **told,
        table=table.name,
        version=table.version,
        committed_at=iso(table.committed_at, UTC_ZONE),
        first=iso(first, UTC_ZONE) if first else None,
        last=iso(last, UTC_ZONE) if last else None,
    )


def _query(
    service: Service, metrics: Mapping[str, Metric], cut: Cut
) -> tuple[MetricQuery, Versions]:
    names = list(dict.fromkeys(table for metric in metrics.values() for table in metric.tables))
    versions = service.ask.versions(names, as_of(cut.as_of))
    return cut.query(metrics, versions), versions


def _wanted(
    service: Service,
    request: Request,
    metrics: Mapping[str, Metric],
    cut: Cut,
    suffix: Suffix | None,
) -> Wanted:
    query, versions = _query(service, metrics, cut)
    return Wanted(
        asked=Asked(query, versions, Part(cut.limit)),
        columns=answer_columns(query, versions),
        zone=query.zone,
        media_type=media_type(suffix, request.headers.get("accept")),
        cursor=cut.cursor,
        as_of=cut.as_of,
        total=cut.total,
        posted=request.method == "POST",
        others={"metrics": [_told(name, metric) for name, metric in metrics.items()]},
    )


def _told(name: str, metric: Metric) -> dict[str, Any]:
    return {
        "name": name,
        "description": metric.description,
        "unit": metric.unit,
        "format": metric.format,
        "zone": metric.zone,
        "grains": [grain.value for grain in metric.grains],
        "dimensions": [
            {
                "name": n,
                "description": d.description,
                "values": list(d.values) if d.values else None,
            }
            for n, d in metric.dimensions.items()
        ],
        "hierarchies": {n: list(levels) for n, levels in metric.hierarchies.items()},
    }
