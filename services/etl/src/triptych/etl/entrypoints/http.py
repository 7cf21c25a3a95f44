"""The door for programs: what pipelines do, and did, over HTTP."""

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Path, Query
from pydantic import BaseModel, Field

from triptych.core.domain.page import Cursor, Page
from triptych.core.domain.result import Err, Ok
from triptych.core.errors import Kind, TriptychError
from triptych.etl.application.pipeline import Pipeline
from triptych.etl.application.ports import Resources, RunRecord, RunStatus
from triptych.etl.application.scheduler import Planned
from triptych.etl.domain.schedule import Schedule
from triptych.etl.entrypoints import openapi
from triptych.etl.entrypoints.runs_cli import NoSuchRun
from triptych.etl.wiring import Serving
from triptych.service.access import Requirement, require
from triptych.service.app import create_app
from triptych.service.keys import Scope


class WrongCursor(TriptychError):
    """The cursor leads nowhere."""

    kind = Kind.MALFORMED
    hint = "Take `next` of the page before, with the same filters; or begin without a cursor."


class RunBody(BaseModel):
    """A run, and what it did."""

    id: str
    pipeline: str
    status: RunStatus = Field(
        description="`running` without an end: it goes on, or it died and the next run finishes it."
    )
    started_at: datetime
    ended_at: datetime | None = None
    outputs: list[str] = Field(description="What it did for each output, in a sentence.")
    error: str | None = None


class RunPage(BaseModel):
    """Some runs, the newest first."""

    runs: list[RunBody]
    next: str | None = Field(
        default=None, description="The cursor of the next page; null on the last one."
    )


class PipelineBody(BaseModel):
    """A pipeline, and when it runs."""

    name: str
    description: str
    file: str
    schedule: Schedule | None = Field(
        default=None, description="Without one the server does not run it."
    )
    next_at: datetime | None = Field(
        default=None, description="When it is due; in the past, it is overdue."
    )
    running: bool = Field(description="Whether some server runs it now.")
    last_run: RunBody | None = Field(
        default=None, description="The newest run that found something new."
    )
    positions: dict[str, int] | None = Field(
        default=None,
        description="How far each output has come; null where that cannot be told now.",
    )
    trouble: str | None = Field(default=None, description="Why its last run by this server failed.")


class PipelineList(BaseModel):
    """All pipelines, in the order of their names."""

    pipelines: list[PipelineBody]


Name = Annotated[str | None, Query(description="Those of one pipeline, by its name.")]
Status = Annotated[RunStatus | None, Query()]
Limit = Annotated[int, Query(ge=1, le=1000)]
After = Annotated[str | None, Query(description="`next` of the page before.")]
RunId = Annotated[str, Path(max_length=64)]


def create_etl(serving: Serving) -> FastAPI:
    """The service's HTTP application."""
    etl = serving.etl
    reader = require(serving.keys, Scope.READ)
    return create_app(
        title="Triptych ETL",
        description="Kill it anywhere, run it again, and the table is the same.",
        version=version("triptych-etl"),
        routers=[pipeline_routes(serving, reader), run_routes(serving, reader)],
        probes={
            "state": etl.turns.touch,
            "eventlog": serving.touch_events,
            "lake": etl.resources.lake.names,
        },
        notes={
            "files": serving.files.problem,
            "pipelines": lambda: _troubles(serving),
        },
        registry=serving.registry,
        reader=reader,
    )


def pipeline_routes(serving: Serving, reader: Requirement) -> APIRouter:
    """`/v1/pipelines`."""
    router = APIRouter(tags=["pipelines"], responses=openapi.AWAY, dependencies=[Depends(reader)])

    @router.get(
        "/v1/pipelines",
        summary="All pipelines, and when they run.",
        responses={200: openapi.json_answer("All.", {"pipelines": [openapi.PIPELINE_EXAMPLE]})},
    )
    def list_pipelines() -> PipelineList:
        planned = sorted(serving.scheduler.plan(), key=lambda plan: plan.pipeline.name)
        return PipelineList(pipelines=[_pipeline_body(serving, plan) for plan in planned])

    return router


def run_routes(serving: Serving, reader: Requirement) -> APIRouter:
    """`/v1/runs` and what is below it."""
    router = APIRouter(
        prefix="/v1/runs", tags=["runs"], responses=openapi.AWAY, dependencies=[Depends(reader)]
    )
    cursors = Cursors(serving.cursor_secret)
    runs = serving.etl.runs

    @router.get(
        "",
        summary="What runs did, the newest first.",
        responses={
            **openapi.WRONG_CURSOR,
            200: openapi.json_answer("A page.", {"runs": [openapi.RUN_EXAMPLE], "next": None}),
        },
    )
    def list_runs(
        pipeline: Name = None, status: Status = None, limit: Limit = 100, cursor: After = None
    ) -> RunPage:
        scope = repr((pipeline, status and status.value))
        found = runs.newest(limit + 1, pipeline, status, cursors.read(cursor, scope))
        page = Page.of(found, limit, lambda run: (run.started_at.isoformat(), run.id), scope)
        return RunPage(runs=[_run_body(run) for run in page.items], next=cursors.write(page.next))

    @router.get(
        "/{id}",
        summary="One run.",
        responses={**openapi.NO_RUN, 200: openapi.json_answer("The run.", openapi.RUN_EXAMPLE)},
    )
    def get_run(id: RunId) -> RunBody:  # noqa: A002  # its name
        found = runs.find(id)
        if found is None:
            raise NoSuchRun(repr(id), hint="GET /v1/runs lists them.")
        return _run_body(found)

    return router


@dataclass(frozen=True, slots=True)
class Cursors:
    """Places in the list of runs, signed so that nobody makes them up."""

    secret: bytes

    def read(self, cursor: str | None, scope: str) -> tuple[datetime, str] | None:
        """The run after which the list goes on.

        Raises:
            WrongCursor: it is none, or of another list.
        """
        if cursor is None:
            return None
        match Cursor.decode(cursor, self.secret, scope=scope):
            case Ok(Cursor(after=(str() as started_at, str() as run_id))):
                return datetime.fromisoformat(started_at), run_id
            case Err(why):
                raise WrongCursor(why)
            case _:
                raise WrongCursor("it is of another list")

    def write(self, cursor: Cursor | None) -> str | None:
        """The cursor as text."""
        return cursor.encode(self.secret) if cursor else None


def _pipeline_body(serving: Serving, plan: Planned) -> PipelineBody:
    pipeline, etl = plan.pipeline, serving.etl
    last = etl.runs.newest(1, pipeline.name)
    return PipelineBody(
        name=pipeline.name,
        description=pipeline.file.description,
        file=str(pipeline.path),
        schedule=pipeline.file.schedule,
        next_at=plan.next_at,
        running=plan.running,
        last_run=_run_body(last[0]) if last else None,
        positions=_positions(etl.resources, pipeline),
        trouble=serving.scheduler.troubles.get(pipeline.name),
    )


def _positions(resources: Resources, pipeline: Pipeline) -> dict[str, int] | None:
    try:
        return {
            name: sink.position(resources, pipeline.writer) for name, sink in pipeline.sinks.items()
        }
    except TriptychError:  # one target that is away must not hide the other pipelines
        return None


def _run_body(run: RunRecord) -> RunBody:
    return RunBody(
        id=run.id,
        pipeline=run.pipeline,
        status=run.status,
        started_at=run.started_at,
        ended_at=run.ended_at,
        outputs=list(run.outputs),
        error=run.error,
    )


def _troubles(serving: Serving) -> str | None:
    troubles = serving.scheduler.troubles
    told = (f"{name}: {troubles[name]}" for name in serving.files.current() if name in troubles)
    return "; ".join(told) or None
