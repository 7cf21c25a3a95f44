"""What an operator sets for etl."""

from pathlib import Path

from pydantic import Field, SecretStr

from triptych.core.config import Settings


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
