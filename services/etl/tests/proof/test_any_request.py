"""Whatever is asked is answered as the OpenAPI document says, and never with 500."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from triptych.database.engine import open_database
from triptych.database.schema import migrate
from triptych.etl.application.pipeline import read_pipeline
from triptych.etl.entrypoints.http import create_etl
from triptych.etl.infrastructure.pipelines import PipelineFiles
from triptych.etl.infrastructure.plugins import InstalledPlugins
from triptych.etl.settings import ScheduleSettings
from triptych.etl.wiring import wire_serving
from triptych.eventlog.log import SCHEMA
from triptych.testing.builders import NOON
from triptych.testing.conformance import conforming


@pytest.fixture
def app(house: Any, shop: Path, database: str) -> Iterator[FastAPI]:
    log = open_database(database, create=True)
    migrate(log, [SCHEMA])
    log.dispose()
    plugins = InstalledPlugins()
    files = PipelineFiles([shop / "pipelines"], lambda path: read_pipeline(path, plugins, {}))
    for number in range(3):
        house.etl.runs.begin(f"run{number}", "sales", NOON)
    with wire_serving(ScheduleSettings(), house.etl, files) as serving:
        yield create_etl(serving)


def test_all_answers_conform_to_the_openapi_document(app: FastAPI) -> None:
    """schemathesis: requests that the document allows, and some that it does not."""
    assert len(conforming(app)) >= 6
