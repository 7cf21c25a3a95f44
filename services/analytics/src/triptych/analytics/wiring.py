"""Put the service together, by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from triptych.analytics.application.measure import Measure
from triptych.analytics.infrastructure.lake import LakeTables, open_tables
from triptych.analytics.infrastructure.metrics import read_metrics
from triptych.analytics.settings import AnalyticsSettings
from triptych.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Analytics:
    """The service's use cases, ready to use."""

    measure: Measure
    tables: LakeTables


@contextmanager
def wire(settings: AnalyticsSettings) -> Iterator[Analytics]:
    """The service as these settings make it.

    Raises:
        NoMetrics, WrongDocument: the metrics cannot be used.
        LakeAway: the lake cannot be used.
    """
    metrics = read_metrics(settings.metrics_dir)
    with open_tables(Lake.open(settings.lake_url)) as tables:
        yield Analytics(Measure(metrics, tables), tables)
