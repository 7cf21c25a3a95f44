"""`/v1/contracts`: what events are checked against."""

from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from triptych.core.domain.contract import Contract
from triptych.core.errors import Kind, TriptychError
from triptych.ingestion.entrypoints import openapi
from triptych.ingestion.wiring import Ingestion
from triptych.service.access import require
from triptych.service.keys import Scope


class NoSuchContract(TriptychError):
    """There is no contract for this type of event."""

    kind = Kind.NOT_FOUND
    hint = "GET /v1/contracts lists all there are."


class ContractSummary(BaseModel):
    """A contract: one version of what the data of a type has to look like."""

    type: str
    version: int
    id: str
    uri: str | None
    """An event chooses this version with its `dataschema`; without, it follows the newest."""
    title: str | None


class ContractBody(ContractSummary):
    """A contract with its schema."""

    json_schema: dict[str, Any]


class ContractList(BaseModel):
    """All contracts, each type's from the oldest to the newest."""

    contracts: list[ContractSummary]


class ContractVersions(BaseModel):
    """All versions of a type's contract, from the oldest to the newest."""

    type: str
    versions: list[ContractBody]


def contract_routes(ingestion: Ingestion) -> APIRouter:
    """`/v1/contracts` and what is below it."""
    reader = Depends(require(ingestion.keys, Scope.READ))
    router = APIRouter(
        prefix="/v1/contracts", tags=["contracts"], dependencies=[reader], responses=openapi.ACCESS
    )

    @router.get(
        "",
        summary="All contracts.",
        responses={
            200: openapi.json_answer("All contracts.", {"contracts": [openapi.CONTRACT_EXAMPLE]})
        },
    )
    async def list_contracts() -> ContractList:
        found = ingestion.contracts.current()
        return ContractList(
            contracts=[
                ContractSummary(**_summary(contract))
                for versions in found.values()
                for contract in versions
            ]
        )

    @router.get(
        "/{type}",
        summary="All versions of the contract of a type.",
        responses={
            200: openapi.json_answer(
                "All versions.",
                {
                    "type": "shop.invoice",
                    "versions": [{**openapi.CONTRACT_EXAMPLE, "json_schema": {"type": "object"}}],
                },
            ),
            404: openapi.problem(
                "There is none.",
                "no-such-contract",
                "There is no contract for this type of event.",
                "shop.refund",
                "GET /v1/contracts lists all there are.",
                404,
            ),
        },
    )
    async def get_contract(type: str) -> ContractVersions:  # noqa: A002  # CloudEvents' name
        versions = ingestion.contracts.current().get(type)
        if versions is None:
            raise NoSuchContract(type)
        return ContractVersions(
            type=type,
            versions=[
                ContractBody(**_summary(contract), json_schema=dict(contract.schema))
                for contract in versions
            ],
        )

    return router


def _summary(contract: Contract) -> dict[str, Any]:
    title = contract.schema.get("title")
    return {
        "type": contract.type,
        "version": contract.version,
        "id": contract.id,
        "uri": contract.uri,
        "title": title if isinstance(title, str) else None,
    }
