"""Etl keeps its promises, whatever breaks: `./triptych chaos etl`, with small numbers."""

import pytest

from triptych.tools.chaos.etl.scenarios import Numbers, Scenario, scenarios
from triptych.tools.chaos.verdict import State

SMALL = Numbers(kills=4, rounds=2, rows=100, table_rows=200_000)


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.parametrize(
    "scenario", list(scenarios(SMALL)), ids=lambda scenario: scenario.name.replace(" ", "-")
)
def test_what_was_promised_is_what_is_counted(scenario: Scenario) -> None:
    verdict = scenario.play()

    if verdict.state is State.SKIPPED:
        pytest.skip(verdict.counted)
    assert verdict.state is State.HELD, f"{verdict.promised}: {verdict.counted}"
