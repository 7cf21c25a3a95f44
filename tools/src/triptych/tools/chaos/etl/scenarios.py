"""All scenarios for etl."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from triptych.tools.chaos.etl import inputs, kills, outages
from triptych.tools.chaos.verdict import State, Verdict


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something that breaks."""

    name: str
    play: Callable[[], Verdict]


@dataclass(frozen=True, slots=True)
class Numbers:
    """How much of it."""

    kills: int = 50
    seed: int = 1
    rounds: int = 20
    rows: int = 1000
    table_rows: int = 500_000
    disk_megabytes: int = 16


def scenarios(numbers: Numbers) -> Iterator[Scenario]:
    """What is played, in this order."""
    n = numbers
    yield Scenario("killed", lambda: kills.killed(kills=n.kills, seed=n.seed, rows=n.rows))
    yield Scenario("two runs", lambda: kills.two_writers(rounds=n.rounds, rows=n.rows))
    yield Scenario("vacuum", lambda: kills.during_a_vacuum(rounds=n.rounds // 2, rows=n.rows))
    yield Scenario("disk full", lambda: outages.disk_full(megabytes=n.disk_megabytes, rows=n.rows))
    yield Scenario("source dies", lambda: outages.source_dies(rows=n.table_rows))
    yield Scenario("log cut off", lambda: outages.log_cut_off(rows=n.rows))
    for damage in inputs.damages():
        yield _damaged(damage)


def _damaged(damage: inputs.Damage) -> Scenario:
    return Scenario(damage.name, lambda: inputs.damaged(damage))


def play(numbers: Numbers, only: str = "") -> Iterator[Verdict]:
    """Play the scenarios whose names contain `only`."""
    for scenario in scenarios(numbers):
        if only in scenario.name:
            yield _verdict(scenario)


def _verdict(scenario: Scenario) -> Verdict:
    try:
        return scenario.play()
    except Exception as error:  # noqa: BLE001  # whatever it is, the promise was not kept
        counted = f"{type(error).__name__}: {error}"
        return Verdict(scenario.name, "it can be played", counted, State.BROKEN)
