"""What an operator sets for ingestion."""

from pathlib import Path

from pydantic import Field, SecretStr

from triptych.core.config import Section, Settings
from triptych.service.settings import HttpSettings


class Limits(Section):
    """How much a request may ask for."""

    body_bytes: int = Field(
        default=10 * 1024 * 1024,
        ge=1024,
        description="The largest body of a request.",
        examples=[10485760],
    )
    batch_events: int = Field(
        default=10_000, ge=1, description="The most events in a batch.", examples=[10000]
    )


class IngestionSettings(Settings):
    """The settings of ingestion."""

    eventlog_url: SecretStr = Field(
        default=SecretStr("sqlite:///var/eventlog.db"),
        description="The database of the event log, as an SQLAlchemy URL.",
        examples=["sqlite:////var/lib/triptych/eventlog.db"],
    )
    contracts_dir: Path = Field(
        default=Path("contracts"),
        description="The folder with the contracts, one JSON Schema a file: TYPE.vVERSION.json.",
        examples=["examples/shop/contracts"],
    )
    ingestion: HttpSettings = HttpSettings()
    limits: Limits = Limits()
