"""Put the service together, by hand."""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from triptych.analytics.application.asking import Ask
from triptych.analytics.application.caching import Cache, MemoryCache
from triptych.analytics.application.limiting import Limiter, LocalLimiter
from triptych.analytics.application.working import Workers
from triptych.analytics.domain.cursors import Cursors
from triptych.analytics.domain.limits import Policy
from triptych.analytics.infrastructure.lake import open_tables
from triptych.analytics.infrastructure.measurements import Measurements
from triptych.analytics.infrastructure.metrics import MetricFolder
from triptych.analytics.infrastructure.places import Places
from triptych.analytics.infrastructure.redis import (
    Shared,
    SharedCache,
    SharedFlight,
    SharedLimiter,
)
from triptych.analytics.infrastructure.warehouse import open_warehouse
from triptych.analytics.settings import AnalyticsSettings, LimitSettings, RedisSettings
from triptych.core.domain.clock import SystemClock
from triptych.database.engine import opened_database
from triptych.database.schema import prepare
from triptych.lake.lake import Lake
from triptych.service.access import KeyRing
from triptych.service.sql_keys import SqlKeys
from triptych.service.tables import access_schema, cursor_secret

SCHEMAS: Final = (access_schema("analytics migrate"),)


@dataclass(frozen=True, slots=True)
class Analytics:
    """The service's use cases, ready to use."""

    settings: AnalyticsSettings
    metrics: MetricFolder
    tables: Places
    ask: Ask
    cache: Cache
    limiter: Limiter
    workers: Workers
    exporters: Workers
    across: SharedFlight | None
    shared: Shared | None
    registry: CollectorRegistry
    measurements: Measurements
    keys: KeyRing
    fingerprint: str
    """Of the secret that cursors are signed with: it is in the answers' bytes."""


@contextmanager
def wire(settings: AnalyticsSettings) -> Iterator[Analytics]:
    """The service as these settings make it.

    Raises:
        NoMetrics, WrongDocument: the metrics cannot be used.
        LakeAway: the lake cannot be used.
        WrongDatabase, DatabaseAway: the database of keys, or the warehouse, cannot be used.
        SchemaTooOld, SchemaTooNew: its tables are of another release.
    """
    query = settings.query
    with access_of(settings) as access, tables_of(settings) as tables:
        prepare(access, SCHEMAS)
        keys = KeyRing(SqlKeys(access), SystemClock())
        keys.refresh()
        own = settings.cursor.secret
        key = own.get_secret_value().encode() if own else cursor_secret(access)
        workers = Workers(query.running, query.queue)
        exporters = Workers(query.exports, query.queue)
        registry = CollectorRegistry()
        measurements = Measurements(registry)
        measurements.watch(workers)
        memory = MemoryCache(settings.cache.bytes)
        limiter = LocalLimiter(policies(settings.limit))
        shared = _shared(settings.redis)
        try:
            yield Analytics(
                settings=settings,
                metrics=MetricFolder(settings.metrics_dir, tables),
                tables=tables,
                ask=Ask(tables, Cursors(key, timedelta(days=settings.cursor.days))),
                cache=(
                    SharedCache(memory, shared, settings.redis.keep_seconds) if shared else memory
                ),
                limiter=(
                    SharedLimiter(limiter.policies, shared, limiter, settings.limit.when_away)
                    if shared
                    else limiter
                ),
                workers=workers,
                exporters=exporters,
                across=SharedFlight(shared, query.seconds) if shared else None,
                shared=shared,
                registry=registry,
                measurements=measurements,
                keys=keys,
                fingerprint=hashlib.sha256(key).hexdigest()[:16],
            )
        finally:
            workers.close()
            exporters.close()


@contextmanager
def tables_of(settings: AnalyticsSettings) -> Iterator[Places]:
    """The tables alone.

    Raises:
        LakeAway: the lake cannot be used.
        WrongDatabase: the warehouse is none.
    """
    query, house = settings.query, settings.warehouse
    with ExitStack() as stack:
        lake = open_tables(
            Lake.open(settings.lake_url),
            seconds=query.seconds,
            memory=query.memory,
            threads=query.threads,
        )
        places = Places(stack.enter_context(lake))
        if house.url is not None:
            url = house.url.get_secret_value()
            warehouse = open_warehouse(url, house.tables, query.seconds)
            places = Places(places.lake, stack.enter_context(warehouse))
        yield places


def access_of(settings: AnalyticsSettings) -> AbstractContextManager[sa.Engine]:
    """The database of keys alone, whatever its tables are.

    Raises:
        WrongDatabase, DatabaseAway: it cannot be used.
    """
    url = settings.access_url.get_secret_value()
    return opened_database(url, create=True, setting="TRIPTYCH_ACCESS_URL")


def _shared(redis: RedisSettings) -> Shared | None:
    return Shared.at(redis.url.get_secret_value(), redis.seconds) if redis.url else None


def policies(limits: LimitSettings) -> list[Policy]:
    """The policies that are set."""
    known = [("burst", limits.burst, 1), ("sustained", limits.sustained, 60)]
    known.append(("daily", limits.daily, 86_400))
    return [Policy(name, quota, window) for name, quota, window in known if quota]
