"""What an operator sets for etl."""

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
    state_url: SecretStr = Field(
        default=SecretStr("sqlite:///var/etl.db"),
        description="The database of what runs did and how far sources were read, as an SQLAlchemy URL.",
        examples=["sqlite:////var/lib/triptych/etl.db"],
    )
