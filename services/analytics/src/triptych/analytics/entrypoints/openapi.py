"""The interface's description: OpenAPI 3.1, with the metrics that are declared."""

from copy import deepcopy
from typing import Any

from fastapi import FastAPI

from triptych.analytics.entrypoints.formats import FORMATS
from triptych.analytics.infrastructure.metrics import MetricFolder
from triptych.service.access import KeyRing

_ANSWERS = ("/v1/metrics/{name}/query", "/v1/query", "/v1/tables/{name}/rows")


def describe(app: FastAPI, folder: MetricFolder, keys: KeyRing) -> None:
    """Let the application's description name the metrics and their dimensions.

    Everybody may read it: where keys are needed, it does not tell what only who has one may know.
    """
    usual = app.openapi

    def openapi() -> dict[str, Any]:
        document = deepcopy(usual())  # the usual one is made once, and kept
        names = sorted(folder.metrics)
        dimensions = sorted({d for metric in folder.metrics.values() for d in metric.dimensions})
        for path, item in document["paths"].items():
            for operation in item.values():
                for parameter in () if keys.required else operation.get("parameters", ()):
                    if parameter["name"] == "name" and path.startswith("/v1/metrics/"):
                        parameter["schema"]["enum"] = names
                        parameter["example"] = names[0]
                    if parameter["name"] == "by":
                        parameter["schema"]["items"]["enum"] = dimensions
                if path in _ANSWERS:
                    operation["responses"]["200"]["content"] = {name: {} for name in FORMATS}
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation does it
