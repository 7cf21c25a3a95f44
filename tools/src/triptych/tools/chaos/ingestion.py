"""All scenarios for ingestion."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from triptych.tools.chaos import bodies, kills, outages, senders
from triptych.tools.chaos.verdict import State, Verdict
from triptych.tools.stores import NewStore, StoreName, stores


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something that breaks."""

    name: str
    play: Callable[[NewStore], Verdict]


@dataclass(frozen=True, slots=True)
class Numbers:
    """How much of it."""

    kills: int = 20
    seed: int = 1
    outage_seconds: float = 10
    same_event: int = 10_000
    connections: int = 64
    replica_batches: int = 200
    resets: int = 500
    slow_senders: int = 50
    slow_seconds: float = 10
    bomb_mebibytes: int = 1024


def scenarios(store: StoreName, numbers: Numbers) -> Iterator[Scenario]:
    """What is played on a store, in this order."""
    yield Scenario("killed", lambda new: kills.killed(new, kills=numbers.kills, seed=numbers.seed))
    match store:
        case StoreName.POSTGRES:
            for outage in outages.OUTAGES:
                yield _outage(outage, numbers)
            yield Scenario(
                "two replicas",
                lambda new: kills.two_replicas(new, batches=numbers.replica_batches),
            )
        case StoreName.SQLITE:
            yield Scenario("disk full", lambda _: outages.disk_full())
    yield Scenario(
        "same event",
        lambda new: kills.same_event(
            new, times=numbers.same_event, connections=numbers.connections
        ),
    )
    yield from _senders(numbers)
    yield from _bodies(numbers)


def _outage(outage: outages.Outage, numbers: Numbers) -> Scenario:
    return Scenario(
        f"PostgreSQL {outage.name}",
        lambda new: outages.database_away(new, outage, seconds=numbers.outage_seconds),
    )


def _senders(numbers: Numbers) -> Iterator[Scenario]:
    yield Scenario("reset", lambda new: senders.reset_in_mid_body(new, times=numbers.resets))
    yield Scenario(
        "slow heads",
        lambda new: senders.slow_heads(
            new, senders=numbers.slow_senders, seconds=numbers.slow_seconds
        ),
    )
    yield Scenario(
        "slow bodies", lambda new: senders.slow_bodies(new, senders=numbers.slow_senders)
    )


def _bodies(numbers: Numbers) -> Iterator[Scenario]:
    yield Scenario("gzip bomb", lambda new: bodies.gzip_bomb(new, mebibytes=numbers.bomb_mebibytes))
    for name, hostile in (
        ("deep JSON", bodies.DEEP),
        ("NUL and lone surrogates", bodies.STRANGE_TEXT),
        ("huge numbers", bodies.HUGE_NUMBERS),
    ):
        yield _hostile(name, hostile)


def _hostile(name: str, hostile: dict[str, bytes]) -> Scenario:
    return Scenario(name, lambda new: bodies.hostile(new, scenario=name, bodies=hostile))


def play(name: StoreName, numbers: Numbers, only: str = "") -> Iterator[Verdict]:
    """Play the scenarios whose names contain `only`, each with a database of its own."""
    for scenario in scenarios(name, numbers):
        if only in scenario.name:
            yield _verdict(name, scenario)


def _verdict(name: StoreName, scenario: Scenario) -> Verdict:
    # A server of PostgreSQL for each: what one scenario breaks is not to spoil the next.
    try:
        with stores(name) as new_store:
            return scenario.play(new_store)
    except Exception as error:  # noqa: BLE001  # whatever it is, the promise was not kept
        counted = f"{type(error).__name__}: {error}"
        return Verdict(scenario.name, "it can be played", counted, State.BROKEN)
