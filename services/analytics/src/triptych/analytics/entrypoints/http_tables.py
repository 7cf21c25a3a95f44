"""`/v1/tables`: the rows of tables, page by page."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from triptych.analytics.application.asking import Asked, row_query
from triptych.analytics.application.ports import Part
from triptych.analytics.domain import filters
from triptych.analytics.domain.columns import Column, ColumnType
from triptych.analytics.domain.query import parse_order
from triptych.analytics.entrypoints.answers import ExplainedBody, Service, Wanted, explained, routed
from triptych.analytics.entrypoints.formats import Suffix, iso, media_type
from triptych.analytics.entrypoints.parameters import LIMIT, as_of
from triptych.core.domain.time import UTC_ZONE


class RowsCut(BaseModel):
    """Which rows are asked for."""

    model_config = ConfigDict(extra="forbid")

    columns: str = Field(default="", max_length=4096, description="Names, with commas; else all.")
    where: str | None = Field(
        default=None, max_length=filters.MAX_LENGTH, description="A filter over the columns."
    )
    order: str = Field(
        default="", max_length=256, description="Columns to sort by; a minus sorts downwards."
    )
    as_of: str | None = Field(
        default=None, max_length=64, description="A version's number, or a time: as it stood then."
    )
    limit: int = Field(default=LIMIT, ge=1, description="The most rows of a page.")
    cursor: str | None = Field(default=None, max_length=4096, description="From `next` or `prev`.")
    total: bool = Field(default=False, description="Count all rows, too.")


class ColumnBody(BaseModel):
    """A column."""

    name: str
    type: ColumnType


class SchemaBody(BaseModel):
    """A table's columns, in a version."""

    table: str
    version: int
    rows: int
    columns: list[ColumnBody]


class VersionBody(BaseModel):
    """A version of a table."""

    version: int
    at: str
    operation: str


class HistoryBody(BaseModel):
    """The versions of a table, the newest first."""

    table: str
    versions: list[VersionBody]


class TablesBody(BaseModel):
    """All tables."""

    tables: list[str]


def table_routes(service: Service) -> APIRouter:
    """`/v1/tables`."""
    router = APIRouter(
        prefix="/v1",
        tags=["tables"],
        route_class=service.route,
        dependencies=[Depends(service.reader)],
    )
    charged = [Depends(service.charge)]

    @router.get("/tables", summary="The tables that there are.", dependencies=charged)
    def list_tables() -> TablesBody:
        return TablesBody(tables=list(service.ask.tables.names()))

    async def rows(
        request: Request, name: str, cut: Annotated[RowsCut, Query()], suffix: Suffix | None = None
    ) -> Response:
        asked = await run_in_threadpool(_asked, service, name, cut)
        types = asked.versions[name].columns
        wanted = Wanted(
            asked=asked,
            columns=[Column(column, types[column]) for column in asked.query.columns],
            zone="UTC",
            media_type=media_type(suffix, request.headers.get("accept")),
            cursor=cut.cursor,
            as_of=cut.as_of,
            total=cut.total,
            posted=False,
            others={},
        )
        return await service.answer(request, wanted)

    routed(router, "/tables/{name}/rows", rows, summary="A table's rows.")

    @router.get("/tables/{name}/explain", summary="How rows would be found.", dependencies=charged)
    def explain(name: str, cut: Annotated[RowsCut, Query()]) -> ExplainedBody:
        return explained(service, _asked(service, name, cut))

    @router.get("/tables/{name}/schema", summary="A table's columns.", dependencies=charged)
    def schema(name: str, at: Annotated[str | None, Query(alias="as_of")] = None) -> SchemaBody:
        table = service.ask.tables.version(name, as_of(at))
        columns = [ColumnBody(name=n, type=kind) for n, kind in table.columns.items()]
        return SchemaBody(table=name, version=table.version, rows=table.rows, columns=columns)

    @router.get(
        "/tables/{name}/history",
        summary="A table's versions, the newest first.",
        dependencies=charged,
    )
    def history(name: str, limit: Annotated[int, Query(ge=1, le=1000)] = LIMIT) -> HistoryBody:
        versions = [
            VersionBody(version=v.number, at=iso(v.at, UTC_ZONE), operation=v.operation)
            for v in service.ask.tables.history(name, limit)
        ]
        return HistoryBody(table=name, versions=versions)

    return router


def _asked(service: Service, name: str, cut: RowsCut) -> Asked:
    versions = service.ask.versions([name], as_of(cut.as_of))
    columns = [column.strip() for column in cut.columns.split(",") if column.strip()]
    where = filters.parse(cut.where, versions[name].columns) if cut.where else None
    query = row_query(versions[name], columns, parse_order(cut.order), where)
    return Asked(query, versions, Part(cut.limit))
