"""What an operator sets for etl."""

from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr

from triptych.core.config import Section, Settings
from triptych.service.settings import HttpSettings, TraceSettings


class OpenLineageSettings(Section):
    """Who is told of runs, and of what tables are made of."""

    url: str | None = Field(
        default=None,
        description="Where OpenLineage events are sent to, over HTTP.",
        examples=["https://lineage.example.com"],
    )
    key: SecretStr | None = Field(
        default=None, description="The API key for that.", examples=["a-key"]
    )
    file: Path | None = Field(
        default=None,
        description="A file that the events are appended to instead, a line each.",
        examples=["var/lineage.ndjson"],
    )
    namespace: str = Field(
        default="triptych",
        min_length=1,
        description="What the names of pipelines and tables are unique in.",
        examples=["shop"],
    )


class ScheduleSettings(Section):
    """How `etl serve` runs pipelines."""

    workers: int = Field(
        default=2, ge=1, le=64, description="How many pipelines run at once.", examples=[4]
    )
    look_seconds: float = Field(
        default=10,
        ge=0.1,
        le=3600,
        description="How often `on: new_rows` looks for some.",
        examples=[60],
    )
    lease_seconds: float = Field(
        default=60,
        ge=1,
        le=3600,
        description="After how long another server takes over from one that died.",
        examples=[60],
    )
    retry_seconds: float = Field(
        default=60,
        gt=0,
        le=3600,
        description="How long a run tries again while something is away.",
        examples=[300],
    )


class EtlSettings(Settings):
    """The settings of etl."""

    eventlog_url: SecretStr = Field(
        default=SecretStr("sqlite:///var/eventlog.db"),
        description="The database of the event log, as an SQLAlchemy URL.",
        examples=["sqlite:////var/lib/triptych/eventlog.db"],
    )
    lake_url: str = Field(
        default="var/lake",
        description="The folder that holds the lake's tables.",
        examples=["/var/lib/triptych/lake"],
    )
    files_dir: Path = Field(
        default=Path(),
        description="The folder that files are read from and written to: none outside of it is.",
        examples=["/var/lib/triptych/files"],
    )
    state_url: SecretStr = Field(
        default=SecretStr("sqlite:///var/etl.db"),
        description="The database of what runs did and how far sources were read, as an SQLAlchemy URL.",
        examples=["sqlite:////var/lib/triptych/etl.db"],
    )
    engine: dict[str, dict[str, Any]] = Field(
        default={"duckdb": {}},
        min_length=1,
        max_length=1,
        description="The engine that runs pipelines: a plugin's name and its configuration, which"
        " `etl plugins show NAME` tells. TRIPTYCH_ENGINE__DUCKDB__MEMORY=4GB says the same.",
        examples=['{"duckdb": {"memory": "4GB"}}'],
    )
    etl: HttpSettings = HttpSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    traces: TraceSettings = TraceSettings()

    openlineage: OpenLineageSettings = OpenLineageSettings()

    @property
    def engine_name(self) -> str:
        """Which engine runs pipelines."""
        return next(iter(self.engine))
