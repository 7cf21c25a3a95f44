"""What every command begins with."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from triptych.core.logging import configure_logging
from triptych.database.schema import prepare
from triptych.etl.application.pipeline import Pipeline, read_pipeline
from triptych.etl.infrastructure.plugins import InstalledPlugins
from triptych.etl.infrastructure.tables import SCHEMAS
from triptych.etl.settings import EtlSettings
from triptych.etl.wiring import Etl, state_of, wire


@contextmanager
def opened() -> Iterator[Etl]:
    """The service, as the settings make it."""
    settings = EtlSettings.load()
    configure_logging(settings.log)
    with wire(settings) as etl:
        yield etl


@contextmanager
def opened_state() -> Iterator[sa.Engine]:
    """The service's own database, whatever its tables are."""
    settings = EtlSettings.load()
    configure_logging(settings.log)
    with state_of(settings) as state:
        yield state


@contextmanager
def prepared_state() -> Iterator[sa.Engine]:
    """The service's own database, with its tables."""
    with opened_state() as state:
        prepare(state, SCHEMAS)
        yield state


def pipeline_at(path: Path, plugins: InstalledPlugins | None = None) -> Pipeline:
    """The pipeline in a file, as it runs on the engine that the settings choose."""
    engine = EtlSettings.load().engine_name
    return read_pipeline(path, plugins or InstalledPlugins(), os.environ, engine)
