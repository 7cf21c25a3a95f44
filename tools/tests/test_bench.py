"""`triptych bench`: the load counts right, and the report says what was counted."""

from collections import Counter

import orjson
import pytest
from rich.console import Console

from triptych.testing.processes import running
from triptych.tools.bench import events, report
from triptych.tools.bench.analytics import measure as analytics_measure
from triptych.tools.bench.analytics import report as analytics_report
from triptych.tools.bench.etl import measure as etl_measure
from triptych.tools.bench.etl import report as etl_report
from triptych.tools.bench.generator import Job, Result, generate
from triptych.tools.bench.ingestion import BATCHES, Plan, Row, measure
from triptych.tools.bench.soak import Soaked, soak
from triptych.tools.bench.subjects import OVER_HTTP, Shape, Subject
from triptych.tools.stores import StoreName, stores

SINGLE = Shape(1, 64)


def test_no_two_events_have_one_id() -> None:
    first, second = events.ids(), events.ids()

    made = [orjson.loads(events.event(next(ids)))["id"] for ids in (first, first, second)]

    assert len(set(made)) == 3


@pytest.mark.parametrize("batch", [1, 3])
def test_the_load_counts_events_and_times_requests(batch: int) -> None:
    with running("tools.bench.no_op", {}) as service:
        result = generate(Job(f"{service.url}/v1/events", batch, 4, seconds=0.3, warmup=0.1))

    assert result.acknowledged >= result.measured > 0
    assert result.latencies.total() * batch == result.measured
    assert 0 < result.milliseconds(0.5) <= result.milliseconds(0.99)
    assert not result.errors


def test_an_answer_that_is_no_success_is_an_error_and_no_event() -> None:
    with running("tools.bench.no_op", {}) as service:
        result = generate(Job(f"{service.url}/nowhere", 1, 2, seconds=0.1))

    assert result.acknowledged == 0
    assert result.errors.keys() == {"404"}


def test_percentiles_are_of_all_requests() -> None:
    result = Result(latencies=Counter({100: 98, 5000: 1, 9000: 1}))

    assert [result.milliseconds(share) for share in (0.5, 0.99, 1.0)] == [1.0, 50.0, 90.0]


@pytest.mark.slow
def test_everything_is_measured_and_what_was_acknowledged_is_stored() -> None:
    plan = Plan(
        (StoreName.SQLITE,),
        connections=(2,),
        rounds=1,
        seconds=0.5,
        warmup=0,
        file_events=100,
    )
    steps: list[str] = []

    rows = list(measure(plan, steps.append))

    assert len(steps) == plan.steps
    assert [row.subject for row in rows] == [*OVER_HTTP, *OVER_HTTP, Subject.INGESTION]
    assert not any(row.errors for row in rows)
    # Of any one of them, on a machine that is busy, all answers may come after the half second.
    assert sum(row.events_per_second for row in rows) > 0


@pytest.mark.slow
def test_a_long_load_samples_memory_until_its_end() -> None:
    elapsed: list[float] = []

    with stores(StoreName.SQLITE) as new_store:
        soaked = soak(new_store(), minutes=0.05, every=0.1, sampled=elapsed.append)

    assert soaked.result.acknowledged > 0
    assert 0 < len(soaked.samples) < len(elapsed)
    assert soaked.first > 0


def test_a_goal_is_a_ratio_to_another_subject_at_the_same_work() -> None:
    rows = [
        _row(SINGLE, Subject.INGESTION, 3000),
        _row(SINGLE, Subject.COMMON_PRACTICE, 600),
        _row(SINGLE, Subject.NO_OP, 6000),
        _row(BATCHES, Subject.COPY, 1),
    ]

    assert [report.reached(rows, goal) for goal in report.GOALS] == [5.0, 0.5, None]


def test_the_report_says_which_goals_were_missed() -> None:
    rows = [_row(SINGLE, Subject.INGESTION, 3000), _row(SINGLE, Subject.NO_OP, 6000)]

    with (out := Console(width=120)).capture() as said:
        report.show(out, rows)

    assert "0.50, missed" in said.get()


@pytest.mark.parametrize(("growth", "flat"), [(0.0, True), (1.0, False)])
def test_memory_that_grows_is_not_flat(growth: float, flat: bool) -> None:
    samples = tuple((5.0 * n, 100.0 + growth * n) for n in range(40))

    soaked = Soaked(Result(), samples)

    assert soaked.flat is flat
    assert soaked.mb_an_hour == pytest.approx(growth * 720)


def _row(work: Shape, subject: Subject, rate: float) -> Row:
    return Row(StoreName.POSTGRES, str(work), subject, rate)


@pytest.mark.slow
def test_analytics_is_measured_beside_what_is_installed() -> None:
    small = analytics_measure.Plan(rows=2_000, rounds=1, seconds=0.2, connections=(2,), deep=5)

    rows = list(analytics_measure.measure(small, lambda _: None))

    assert {row.side for row in rows} >= {"analytics", "DuckDB", "no-op", "first", "deep"}
    assert all(row.rate > 0 and not row.errors for row in rows)
    with (out := Console(width=120)).capture() as said:
        analytics_report.show(out, small, rows)
    assert "of the no-op" in said.get()


@pytest.mark.slow
def test_etl_is_measured_and_its_tables_are_those_of_the_others() -> None:
    small = etl_measure.Plan(rows=2_000, scale=0.001, rounds=1, times=1)

    rows = list(etl_measure.measure(small, lambda _: None))

    by_hand = [row for row in rows if row.side == "duckdb" and row.seconds]
    mine = [row for row in rows if row.side == "triptych"]
    assert by_hand
    assert len(mine) >= 3
    assert all(row.seconds for row in mine)


def test_etl_has_goals_beside_others_and_for_doing_nothing() -> None:
    rows = [
        etl_measure.Row("orders", "triptych", 2.0),
        etl_measure.Row("orders", "duckdb", 1.0),
        etl_measure.Row("orders", "dlt", 40.0),
        etl_measure.Row("orders", "pandas", None),
        etl_measure.Row(etl_measure.NOTHING_NEW, "triptych", 0.5),
    ]

    assert [reached for _, reached in etl_report.verdicts(rows)] == [True, True, False, False, True]
    with (out := Console(width=120)).capture() as said:
        etl_report.show(out, rows)
    assert "20.00 x as fast" in said.get()
    assert "not installed" in said.get()
