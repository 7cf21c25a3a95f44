"""Put the service together, by hand."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import CollectorRegistry

from triptych.analytics.application.asking import Ask
from triptych.analytics.application.caching import Cache, MemoryCache
from triptych.analytics.application.limiting import Limiter, LocalLimiter
from triptych.analytics.application.working import Workers
from triptych.analytics.domain.cursors import Cursors
from triptych.analytics.domain.limits import Policy
from triptych.analytics.infrastructure.lake import LakeTables, open_tables
from triptych.analytics.infrastructure.measurements import Measurements
from triptych.analytics.infrastructure.metrics import MetricFolder
from triptych.analytics.infrastructure.redis import (
    Shared,
    SharedCache,
    SharedFlight,
    SharedLimiter,
)
from triptych.analytics.settings import AnalyticsSettings, LimitSettings, RedisSettings
from triptych.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Analytics:
    """The service's use cases, ready to use."""

    settings: AnalyticsSettings
    metrics: MetricFolder
    tables: LakeTables
    ask: Ask
    cache: Cache
    limiter: Limiter
    workers: Workers
    across: SharedFlight | None
    shared: Shared | None
    registry: CollectorRegistry
    measurements: Measurements
    fingerprint: str


@contextmanager
def wire(settings: AnalyticsSettings) -> Iterator[Analytics]:
    """The service as these settings make it.

    Raises:
        NoMetrics, WrongDocument: the metrics cannot be used.
        LakeAway: the lake cannot be used.
    """
    query = settings.query
    secret = settings.cursor.secret
    key = secret.get_secret_value().encode() if secret else secrets.token_bytes(32)
    with open_tables(
        Lake.open(settings.lake_url),
        seconds=query.seconds,
        memory=query.memory,
        threads=query.threads,
    ) as tables:
        workers = Workers(query.running, query.queue)
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
                across=SharedFlight(shared, query.seconds) if shared else None,
                shared=shared,
                registry=registry,
                measurements=measurements,
                fingerprint=hashlib.sha256(key).hexdigest()[:16],
            )
        finally:
            workers.close()


def _shared(redis: RedisSettings) -> Shared | None:
    return Shared.at(redis.url.get_secret_value(), redis.seconds) if redis.url else None


def policies(limits: LimitSettings) -> list[Policy]:
    """The policies that are set."""
    known = [("burst", limits.burst, 1), ("sustained", limits.sustained, 60)]
    known.append(("daily", limits.daily, 86_400))
    return [Policy(name, quota, window) for name, quota, window in known if quota]
