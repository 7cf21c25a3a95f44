"""What an operator sets for analytics."""

from pathlib import Path

from pydantic import Field, SecretStr

from triptych.analytics.application.limiting import WhenAway
from triptych.core.config import Section, Settings
from triptych.service.settings import HttpSettings, TraceSettings


class QuerySettings(Section):
    """How much a query may take."""

    seconds: float = Field(
        default=30, gt=0, description="How long a query may take; then it is ended.", examples=[30]
    )
    running: int = Field(
        default=2, ge=1, description="How many queries run at a time.", examples=[4]
    )
    exports: int = Field(
        default=1,
        ge=1,
        description="How many answers are streamed at a time: they are long, and have a lane of their own.",
        examples=[2],
    )
    queue: int = Field(
        default=256, ge=0, description="How many queries may wait; then 503.", examples=[64]
    )
    memory: str = Field(
        default="50%",
        pattern=r"^[1-9][0-9]*(%| ?[KMGT]i?B)$",
        description="How much memory all queries together may take.",
        examples=["4GB"],
    )
    threads: int | None = Field(
        default=None, ge=1, description="How many threads they use; all if left out.", examples=[4]
    )
    rows: int = Field(
        default=10_000, ge=1, description="The most rows of a page.", examples=[10000]
    )
    bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=1024,
        description="The largest answer that is held in memory, before it is compressed.",
        examples=[268435456],
    )
    export_rows: int = Field(
        default=1_000_000,
        ge=1,
        description="The most rows of an answer in CSV, NDJSON, Arrow or Parquet: beyond those of a page it is streamed.",
        examples=[1000000],
    )
    stream_bytes: int = Field(
        default=4 * 1024 * 1024 * 1024,
        ge=1024,
        description="The longest answer that is streamed, as it is sent: so much of the disk it may take.",
        examples=[4294967296],
    )


class WarehouseSettings(Section):
    """Tables that are in PostgreSQL, instead of in the lake."""

    url: SecretStr | None = Field(
        default=None,
        description="The PostgreSQL database that has them, written by etl's sink `sql`.",
        examples=["postgresql://reader@warehouse/shop"],
    )
    tables: tuple[str, ...] = Field(
        default=(),
        description="Which tables are there; with a schema, where it is not the usual one.",
        examples=['["sales", "crm.customers"]'],
    )


class MetricSettings(Section):
    """How metrics are kept up to date."""

    reload_seconds: float = Field(
        default=0,
        ge=0,
        description="How often to look for changed metrics; 0 looks on SIGHUP only.",
        examples=[10],
    )


class CacheSettings(Section):
    """What answers are kept in."""

    bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=1024,
        description="How many bytes of answers are kept in memory.",
        examples=[268435456],
    )


class RedisSettings(Section):
    """What replicas share."""

    url: SecretStr | None = Field(
        default=None,
        description="The Redis that replicas share answers and limits through.",
        examples=["redis://cache:6379/0"],
    )
    seconds: float = Field(
        default=0.2,
        gt=0,
        description="How long it may take to answer; then a replica goes on by itself.",
        examples=[0.2],
    )
    keep_seconds: int = Field(
        default=3600, ge=1, description="How long it keeps an answer.", examples=[3600]
    )


class CursorSettings(Section):
    """How pages are walked through."""

    secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Signs cursors, instead of what the database of keys holds for that.",
        examples=["32 random characters or more"],
    )
    days: int = Field(default=7, ge=1, description="How long a cursor leads on.", examples=[7])


class LimitSettings(Section):
    """How much a client may ask for, in units: see the README."""

    burst: int = Field(
        default=200, ge=0, description="Units a client may use in a second; 0: any.", examples=[200]
    )
    sustained: int = Field(
        default=3000, ge=0, description="Units in a minute; 0: any.", examples=[3000]
    )
    daily: int = Field(
        default=500_000, ge=0, description="Units in a day; 0: any.", examples=[500000]
    )
    when_away: WhenAway = Field(
        default=WhenAway.LOCAL,
        description="While Redis is away: count in each replica, refuse all, or allow all.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="Addresses and networks whose X-Forwarded-For is believed.",
        examples=['["10.0.0.0/8"]'],
    )


class AnalyticsSettings(Settings):
    """The settings of analytics."""

    lake_url: str = Field(
        default="var/lake",
        description="The folder that holds the lake's tables.",
        examples=["/var/lib/triptych/lake"],
    )
    metrics_dir: Path = Field(
        default=Path("metrics"),
        description="The folder with the files that declare metrics.",
        examples=["examples/shop/metrics"],
    )
    access_url: SecretStr = Field(
        default=SecretStr("sqlite:///var/analytics.db"),
        description="The database of API keys and of what cursors are signed with, as an SQLAlchemy URL: one for all replicas.",
        examples=["postgresql://triptych@db/triptych"],
    )
    analytics: HttpSettings = HttpSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    metrics: MetricSettings = MetricSettings()
    query: QuerySettings = QuerySettings()
    cache: CacheSettings = CacheSettings()
    redis: RedisSettings = RedisSettings()
    cursor: CursorSettings = CursorSettings()
    limit: LimitSettings = LimitSettings()
    traces: TraceSettings = TraceSettings()
