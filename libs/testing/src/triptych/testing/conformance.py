"""Whatever is asked of an application is answered as its OpenAPI document says."""

from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import CHECKS


def conforming(app: FastAPI) -> list[str]:
    """Ask what the document allows, and some of what it does not; the operations that were tried.

    Raises:
        Exception: an answer is not as the document says, or is of a fault of the server's.
    """
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    conform: Any = CHECKS.get_by_names(
        [
            "not_a_server_error",
            "status_code_conformance",
            "content_type_conformance",
            "response_schema_conformance",
        ]
    )
    tried = []

    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]  # else it fails, as it should

        @settings(suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def conforms(case: Any) -> None:
            case.call_and_validate(checks=conform)

        conforms()
        tried.append(operation.label)
    return tried
