"""Ingestion keeps its promises, whatever breaks: `./triptych chaos ingestion`, with small numbers."""

import pytest

from triptych.tools.chaos.ingestion import Numbers, Scenario, scenarios
from triptych.tools.chaos.verdict import State
from triptych.tools.stores import StoreName, stores

SMALL = Numbers(
    kills=3,
    outage_seconds=1,
    same_event=500,
    connections=16,
    replica_batches=20,
    resets=20,
    slow_senders=5,
    slow_seconds=1,
    bomb_mebibytes=128,
)

each_scenario = pytest.mark.parametrize(
    ("store", "scenario"),
    [
        pytest.param(store, scenario, id=f"{store}-{scenario.name}".replace(" ", "-"))
        for store in StoreName
        for scenario in scenarios(store, SMALL)
    ],
)


@pytest.mark.chaos
@pytest.mark.slow
@each_scenario
def test_what_was_promised_is_what_is_counted(store: StoreName, scenario: Scenario) -> None:
    with stores(store) as new_store:
        verdict = scenario.play(new_store)

    if verdict.state is State.SKIPPED:
        pytest.skip(verdict.counted)
    assert verdict.state is State.HELD, f"{verdict.promised}: {verdict.counted}"
