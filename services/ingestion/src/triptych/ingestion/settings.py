"""What an operator sets for ingestion."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from triptych.core.config import Section, Settings
from triptych.service.settings import HttpSettings, TraceSettings


class LimitSettings(Section):
    """How much a request may ask for."""

    body_bytes: int = Field(
        default=10 * 1024 * 1024,
        ge=1024,
        description="The largest body of a request, unpacked.",
        examples=[10485760],
    )
    body_seconds: float = Field(
        default=30, gt=0, description="How long a body may take to arrive.", examples=[30]
    )
    batch_events: int = Field(
        default=10_000, ge=1, description="The most events in a batch.", examples=[10000]
    )
    stream_bytes: int = Field(
        default=1024 * 1024 * 1024,
        ge=1024,
        description="The largest stream of NDJSON, unpacked.",
        examples=[1073741824],
    )
    stream_events: int = Field(
        default=100_000, ge=1, description="The most events in a stream.", examples=[100000]
    )
    stream_seconds: float = Field(
        default=600, gt=0, description="How long a stream may take to arrive.", examples=[600]
    )
    event_bytes: int = Field(
        default=1024 * 1024, ge=1024, description="The largest event.", examples=[1048576]
    )
    depth: int = Field(
        default=64,
        ge=1,
        le=200,
        description="How deep an event's arrays and objects may be nested.",
        examples=[64],
    )


class CommitSettings(Section):
    """How requests share transactions."""

    group_events: int = Field(
        default=500, ge=1, description="The most events that share a transaction.", examples=[500]
    )
    queue_events: int = Field(
        default=20_000,
        ge=1,
        description="The most events that may wait to be stored; then 503.",
        examples=[20000],
    )
    queue_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1024,
        description="The most bytes that may wait to be stored; then 503.",
        examples=[67108864],
    )
    seconds: float = Field(
        default=10, gt=0, description="How long a request waits to be stored.", examples=[10]
    )
    writers: int = Field(
        default=1,
        ge=1,
        le=16,
        description="How many transactions are under way at once; SQLite gains nothing by more.",
        examples=[2],
    )


class ContractSettings(Section):
    """How contracts are kept up to date."""

    reload_seconds: float = Field(
        default=0,
        ge=0,
        description="How often to look for changed contracts; 0 looks on SIGHUP only.",
        examples=[10],
    )


class IdempotencySettings(Section):
    """How long answers are remembered."""

    hours: float = Field(
        default=24,
        gt=0,
        description="How long an Idempotency-Key is remembered.",
        examples=[24],
    )


class WebhookSettings(Section):
    """Who may deliver events as webhooks."""

    origins: Literal["*"] | tuple[str, ...] = Field(
        default="*",
        description="Which senders the handshake (OPTIONS) permits: `*`, or a list of DNS names.",
        examples=['["eventgrid.example"]'],
    )
    rate: int | None = Field(
        default=None,
        ge=1,
        description="How many requests a minute the handshake permits; none is as many as they like.",
        examples=[600],
    )


class IngestionSettings(Settings):
    """The settings of ingestion."""

    eventlog_url: SecretStr = Field(
        default=SecretStr("sqlite:///var/eventlog.db"),
        description="The database of the event log, as an SQLAlchemy URL.",
        examples=["postgresql://triptych@db/triptych"],
    )
    contracts_dir: Path = Field(
        default=Path("contracts"),
        description="The folder with the contracts, one JSON Schema a file: TYPE.vVERSION.json.",
        examples=["examples/shop/contracts"],
    )
    ingestion: HttpSettings = HttpSettings()
    limits: LimitSettings = LimitSettings()
    commit: CommitSettings = CommitSettings()
    contracts: ContractSettings = ContractSettings()
    idempotency: IdempotencySettings = IdempotencySettings()
    webhook: WebhookSettings = WebhookSettings()
    traces: TraceSettings = TraceSettings()
