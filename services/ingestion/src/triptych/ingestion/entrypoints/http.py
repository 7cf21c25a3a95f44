"""The door for programs: the service's HTTP application."""

from importlib.metadata import version

from fastapi import FastAPI

from triptych.ingestion.entrypoints.http_contracts import contract_routes
from triptych.ingestion.entrypoints.http_events import EVENTS, event_routes
from triptych.ingestion.entrypoints.http_rejections import rejection_routes
from triptych.ingestion.wiring import Ingestion
from triptych.service.access import require
from triptych.service.app import create_app
from triptych.service.keys import Scope


def create_ingestion(ingestion: Ingestion) -> FastAPI:
    """The service's HTTP application."""
    return create_app(
        title="Triptych ingestion",
        description="An event that was acknowledged is stored exactly once, whatever dies.",
        version=version("triptych-ingestion"),
        routers=[
            event_routes(ingestion),
            contract_routes(ingestion),
            rejection_routes(ingestion),
        ],
        probes={"store": ingestion.store.touch},
        notes={"contracts": ingestion.contracts.problem},
        registry=ingestion.registry,
        quiet={EVENTS},  # thousands a second; the measurements count them
        reader=require(ingestion.keys, Scope.READ),
    )
