"""Who runs what when: schedulers that share a database, and clocks that stand still."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stamina

from triptych.core.domain.clock import FixedClock
from triptych.core.errors import TriptychError
from triptych.database.engine import DatabaseAway, open_database, writing
from triptych.database.schema import migrate, prepare
from triptych.etl.application.history import Report
from triptych.etl.application.pipeline import Pipeline, read_pipeline
from triptych.etl.application.ports import QueryFailed, RunStatus, Watcher
from triptych.etl.application.scheduler import Outcome, Pace, Planned, Scheduler
from triptych.etl.application.stopping import StoppableRun
from triptych.etl.infrastructure.plugins import InstalledPlugins
from triptych.etl.infrastructure.tables import SCHEMAS
from triptych.etl.infrastructure.turns import SqlTurns
from triptych.eventlog.log import SCHEMA, append
from triptych.lake.errors import ConcurrentCommit
from triptych.testing.builders import an_event

NIGHT = datetime(2030, 1, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)
LEASE = timedelta(seconds=60)
PACE = Pace(workers=2, look_every=timedelta(seconds=10), lease=LEASE, retry=timedelta(seconds=30))


class Inline(Executor):
    """Does at once, in the caller's thread, what others do in threads."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        fn(*args, **kwargs)
        return Future()


@dataclass
class Seen:
    """An observer that remembers."""

    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)
    plans: list[Planned] = field(default_factory=list)

    def ended(
        self, pipeline: str, outcome: Outcome, began_at: datetime, ended_at: datetime
    ) -> None:
        self.outcomes.append((pipeline, outcome))

    def reported(self, report: Report) -> None:
        """Nothing that is asked here."""

    def planned(self, planned: Sequence[Planned], now: datetime) -> None:
        self.plans = list(planned)


def nothing(pipeline: Pipeline, watcher: Watcher) -> list[Report]:
    """A run that finds nothing new."""
    return []


@dataclass
class Town:
    """A database that servers share, and pipelines for them."""

    folder: Path
    turns: SqlTurns
    clock: FixedClock = field(default_factory=lambda: FixedClock(NIGHT - DAY / 2))
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)

    def pipeline(self, name: str, schedule: str = '{cron: "0 2 * * *"}') -> None:
        file = self.folder / f"{name}.yaml"
        file.write_text(f"""
version: 1
name: {name}
schedule: {schedule}
source:
  files: {{ paths: ["*.csv"], columns: {{n: text}} }}
sink:
  lake: {{ table: {name} }}
""")
        self.pipelines[name] = read_pipeline(file, InstalledPlugins(), {})

    def server(
        self,
        run: Callable[[Pipeline, Watcher], list[Report]] = nothing,
        threads: Executor | None = None,
    ) -> Scheduler:
        pipelines, turns = lambda: self.pipelines, self.turns
        server = Scheduler(pipelines, run, turns, threads or Inline(), self.clock, PACE, self.seen)
        server.plan()  # from now on its pipelines wait
        return server

    @property
    def outcomes(self) -> list[tuple[str, Outcome]]:
        return self.seen.outcomes


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    engine = open_database(f"sqlite:///{tmp_path / 'etl.db'}", create=True)
    prepare(engine, SCHEMAS)
    town = Town(tmp_path, SqlTurns(engine))
    town.pipeline("sales")
    with stamina.set_testing(True, attempts=3):
        yield town
    engine.dispose()


def test_a_pipeline_runs_when_its_time_comes_and_not_before(town: Town) -> None:
    server = town.server()
    ran = []

    for at in (NIGHT - timedelta(seconds=1), NIGHT, NIGHT, NIGHT + DAY / 2, NIGHT + DAY):
        town.clock.at = at
        server.tick()
        ran.append(len(town.outcomes))

    assert ran == [0, 1, 1, 1, 2]


def test_what_was_missed_while_nobody_served_is_one_run(town: Town) -> None:
    town.server()

    town.clock.advance(30 * DAY)
    later = town.server()
    later.tick()
    later.tick()

    assert town.outcomes == [("sales", Outcome.NOTHING_NEW)]


def test_new_rows_are_looked_for_again_and_again(town: Town) -> None:
    town.pipelines.clear()
    town.pipeline("live", "{on: new_rows}")
    server = town.server()

    for _ in range(5):
        town.clock.advance(PACE.look_every)
        server.tick()
        server.tick()

    assert len(town.outcomes) == 5


def test_a_pipeline_that_fails_waits_for_its_next_turn_and_others_run(town: Town) -> None:
    town.pipeline("refunds")

    def run(pipeline: Pipeline, watcher: Watcher) -> list[Report]:
        if pipeline.name == "refunds":
            raise QueryFailed("there is no column 'x'")
        return []

    server = town.server(run)
    town.clock.at = NIGHT
    server.tick()
    server.tick()

    assert sorted(town.outcomes) == [
        ("refunds", Outcome.FAILED),
        ("sales", Outcome.NOTHING_NEW),
    ]
    assert list(server.troubles) == ["refunds"]
    assert "no column 'x'" in server.troubles["refunds"]
    town.clock.at = NIGHT + DAY
    server.run = nothing
    server.tick()
    assert server.troubles == {}


@pytest.mark.parametrize("passing", [DatabaseAway("it sleeps"), ConcurrentCommit("1")])
def test_what_passes_is_tried_again_in_the_same_turn(town: Town, passing: TriptychError) -> None:
    tries = []

    def run(pipeline: Pipeline, watcher: Watcher) -> list[Report]:
        tries.append(pipeline.name)
        if len(tries) < 3:
            raise passing
        return []

    server = town.server(run)
    town.clock.at = NIGHT
    server.tick()

    assert (len(tries), town.outcomes) == (3, [("sales", Outcome.NOTHING_NEW)])


@pytest.mark.parametrize(
    "lasting", [QueryFailed("x"), ZeroDivisionError("a plugin's bug")], ids=["foreseen", "bug"]
)
def test_what_lasts_is_not_tried_again(town: Town, lasting: Exception) -> None:
    tries = []

    def run(pipeline: Pipeline, watcher: Watcher) -> list[Report]:
        tries.append(pipeline.name)
        raise lasting

    server = town.server(run)
    town.clock.at = NIGHT
    server.tick()
    server.tick()

    assert (len(tries), town.outcomes) == (1, [("sales", Outcome.FAILED)])


@dataclass
class Held:
    """A run that goes on until it is let go; meanwhile it reads."""

    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    let_go: threading.Event = field(default_factory=threading.Event)
    began: list[str] = field(default_factory=list)

    def __call__(self, pipeline: Pipeline, watcher: Watcher) -> list[Report]:
        self.began.append(pipeline.name)
        self.entered.release()
        while not self.let_go.wait(0.001):
            watcher.reading(1)
        return []

    def wait(self) -> None:
        assert self.entered.acquire(timeout=30)


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_of_two_servers_one_runs_a_pipeline(town: Town, threads: Executor) -> None:
    held = Held()
    one, other = town.server(held, threads), town.server(held, threads)
    town.clock.at = NIGHT

    one.tick()
    held.wait()
    for _ in range(10):
        town.clock.advance(LEASE / 6)  # longer than the lease, all in all
        one.tick()
        other.tick()

    assert held.began == ["sales"]
    assert [plan.running for plan in town.seen.plans] == [True]
    held.let_go.set()
    assert one.finish(30)
    assert other.finish(0)


def test_the_turn_of_a_server_that_is_silent_is_taken_over_and_it_stops(
    town: Town, threads: Executor
) -> None:
    held, another = Held(), Held()
    silent, other = town.server(held, threads), town.server(another, threads)
    town.clock.at = NIGHT
    silent.tick()
    held.wait()

    town.clock.advance(LEASE)
    other.tick()
    another.wait()
    silent.tick()

    assert silent.finish(30)
    assert town.outcomes == [("sales", Outcome.INTERRUPTED)]
    another.let_go.set()
    assert other.finish(30)
    assert town.outcomes[1:] == [("sales", Outcome.NOTHING_NEW)]


def test_no_more_run_at_once_than_there_are_workers(town: Town, threads: Executor) -> None:
    for name in ("a", "b", "c"):
        town.pipeline(name)
    held = Held()
    server = town.server(held, threads)
    town.clock.at = NIGHT

    server.tick()
    server.tick()

    assert sorted(held.began) == ["a", "b"]
    held.let_go.set()
    assert server.finish(30)


def test_a_run_that_does_not_end_in_time_is_rolled_back_and_due_as_before(
    town: Town, threads: Executor
) -> None:
    held = Held()
    server = town.server(held, threads)
    town.clock.at = NIGHT
    server.tick()
    held.wait()

    assert server.finish(0)

    assert town.outcomes == [("sales", Outcome.INTERRUPTED)]
    after = town.server()
    after.tick()
    assert town.outcomes[1:] == [("sales", Outcome.NOTHING_NEW)]


def test_a_server_that_ends_starts_nothing(town: Town) -> None:
    server = town.server()
    town.clock.at = NIGHT

    server.stop_starting()
    server.tick()

    assert town.outcomes == []


@pytest.mark.parametrize("queries", range(4))
def test_a_real_run_is_stopped_before_any_query_and_leaves_nothing_behind(
    house: Any, town: Town, queries: int
) -> None:
    house.write("1.csv", "n\n1\n2\n")
    server = town.server()
    asked = iter(range(queries))

    def stopped_later(pipeline: Pipeline, watcher: Watcher) -> list[Report]:
        def reading(rows: int) -> None:
            if next(asked, None) is None:
                server._jobs["sales"].stopped.set()
            watcher.reading(rows)

        return StoppableRun(house.etl.run)(pipeline, Watcher(watcher.step, reading))

    server.run = stopped_later
    town.clock.at = NIGHT
    server.tick()

    assert town.outcomes == [("sales", Outcome.INTERRUPTED)]
    assert [path for path in house.lake.root.rglob("*") if path.is_file()] == []
    [record] = house.etl.runs.newest(10)
    assert (record.status, record.error) == (RunStatus.FAILED, "Interrupted")
    server.run = StoppableRun(house.etl.run)
    server.tick()
    assert len(house.rows("sales")) == 2


def test_a_real_run_that_is_stopped_while_it_reads_leaves_nothing_behind(
    house: Any, town: Town
) -> None:
    log = open_database(f"sqlite:///{town.folder / 'eventlog.db'}", create=True)
    migrate(log, [SCHEMA])
    with writing(log) as connection:
        append(connection, [an_event(id=str(n)).document for n in range(10)], NIGHT)
    log.dispose()
    town.pipelines = {"happened": house.pipeline("""
            version: 1
            name: happened
            schedule: {on: new_rows}
            source:
              events: { types: [test.happened], columns: {n: integer} }
            sink:
              lake: { table: happened }
            """)}
    server = town.server()

    def stopped_while_it_reads(pipeline: Pipeline, watcher: Watcher) -> list[Report]:
        def reading(rows: int) -> None:
            server._jobs["happened"].stopped.set()
            watcher.reading(rows)

        reports: list[Report] = house.etl.run(pipeline, Watcher(watcher.step, reading))
        return reports

    server.run = stopped_while_it_reads
    town.clock.advance(PACE.look_every)
    server.tick()

    assert town.outcomes == [("happened", Outcome.INTERRUPTED)]
    assert [path for path in house.lake.root.rglob("*") if path.is_file()] == []
    [record] = house.etl.runs.newest(10)
    assert record.status is RunStatus.FAILED
    server.run = house.etl.run
    server.tick()
    assert len(house.rows("happened")) == 10
