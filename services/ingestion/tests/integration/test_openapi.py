"""The OpenAPI document has an example for every answer, and the examples are true."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from fastapi.testclient import TestClient

from triptych.ingestion.entrypoints.http import create_ingestion
from triptych.ingestion.wiring import Ingestion


@pytest.fixture
def document(service: Ingestion) -> Iterator[Any]:
    with TestClient(create_ingestion(service)) as client:
        yield client.get("/openapi.json").json()


def answers(document: Any) -> Iterator[tuple[str, str, Any]]:
    """The operation, the media type and its description, of every answer below /v1."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                for media_type, content in answer.get("content", {}).items():
                    if path.startswith("/v1") and status != "default":
                        yield f"{method} {path} {status}", media_type, content


def test_every_answer_has_an_example(document: Any) -> None:
    without = {
        where
        for where, media_type, content in answers(document)
        # What FastAPI says of parameters that cannot be read is said once, by the default answer.
        if "example" not in content and not where.endswith(" 422")
    }

    assert without == set()


def test_every_example_is_valid_by_its_schema(document: Any) -> None:
    tried = 0

    for where, _, content in answers(document):
        if "example" in content and content.get("schema"):
            schema = {**content["schema"], "components": document["components"]}
            validator = jsonschema_rs.Draft202012Validator(schema, offline=True)
            wrong = [error.message for error in validator.iter_errors(content["example"])]
            assert (where, wrong) == (where, [])
            tried += 1

    assert tried > 20
