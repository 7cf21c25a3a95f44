"""Build the application of a service: its routes on the common chassis."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.responses import PlainTextResponse
from opentelemetry.trace import TracerProvider
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    ProcessCollector,
    generate_latest,
)

from triptych.service.access import Requirement
from triptych.service.docs import docs_routes
from triptych.service.health import Health, Note, Probe, health_routes
from triptych.service.middleware import Requests
from triptych.service.problems import ANY_PROBLEM, answer_with_problems


def create_app(  # noqa: PLR0913  # each has its name where it is called
    *,
    title: str,
    description: str,
    version: str,
    routers: Iterable[APIRouter],
    probes: Mapping[str, Probe],
    notes: Mapping[str, Note] | None = None,
    registry: CollectorRegistry | None = None,
    tracer_provider: TracerProvider | None = None,
    quiet: Collection[str] = (),
    reader: Requirement | None = None,
    close: Callable[[], Awaitable[None]] | None = None,
) -> FastAPI:
    """A FastAPI application with problem details, request ids, health and metrics.

    `probes` decide over `/readyz`, where `notes` are told, too; what is counted in `registry`
    appears at `/metrics`. Spans go to `tracer_provider`, or to the process's (`configure_tracing`).
    What goes well on the routes in `quiet` is not logged; `reader` is what `/metrics` asks of who
    reads them; `close` is called when it stops. The state of its health is `app.state.health`.
    """
    registry = registry or CollectorRegistry()
    ProcessCollector(registry=registry)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if close is not None:
            await close()

    app = FastAPI(
        lifespan=lifespan,
        title=title,
        description=description,
        version=version,
        responses={"default": ANY_PROBLEM},
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.health = Health(probes, notes or {})
    answer_with_problems(app)
    app.add_middleware(Requests, registry=registry, tracer_provider=tracer_provider, quiet=quiet)
    # The service's own come first: they are tried in this order, each time.
    for router in (*routers, docs_routes(title), health_routes(app.state.health)):
        app.include_router(router)
    readers = [Depends(reader)] if reader else []

    @app.get(
        "/metrics",
        tags=["health"],
        summary="Measurements for Prometheus.",
        dependencies=readers,
        response_class=PlainTextResponse,
    )
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app
