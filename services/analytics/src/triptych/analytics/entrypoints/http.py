"""The door for programs: the service's HTTP application."""

from importlib.metadata import version
from typing import Final

from fastapi import FastAPI

from triptych.analytics.entrypoints.answers import Service
from triptych.analytics.entrypoints.http_metrics import metric_routes
from triptych.analytics.entrypoints.http_page import page_routes
from triptych.analytics.entrypoints.http_tables import table_routes
from triptych.analytics.entrypoints.http_usage import usage_routes
from triptych.analytics.entrypoints.openapi import describe
from triptych.analytics.infrastructure.places import Places
from triptych.analytics.wiring import Analytics
from triptych.service.app import create_app
from triptych.service.health import Probe

QUIET: Final = frozenset(
    f"/v1/{where}{suffix}"
    for where in ("metrics/{name}/query", "tables/{name}/rows")
    for suffix in ("", ".{suffix}")
)
"""What goes well here is counted; to log it, too, would take a good part of all time."""


def create_analytics(analytics: Analytics) -> FastAPI:
    """The service's HTTP application."""
    service, shared = Service.of(analytics), analytics.shared
    app = create_app(
        title="Triptych analytics",
        description="Metrics and rows of the lake's tables.",
        version=version("triptych-analytics"),
        routers=[
            metric_routes(service),
            table_routes(service),
            usage_routes(service),
            page_routes(),
        ],
        quiet=QUIET,
        probes=_probes(analytics.tables),
        notes={"redis": shared.note} if shared else {},
        close=shared.close if shared else None,
        registry=analytics.registry,
        reader=service.reader,
    )
    describe(app, analytics.metrics, analytics.keys)
    return app


def _probes(tables: Places) -> dict[str, Probe]:
    lake: dict[str, Probe] = {"lake": tables.lake.check}
    return lake | {"warehouse": tables.warehouse.check} if tables.warehouse else lake
