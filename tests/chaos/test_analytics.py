"""Analytics keeps its promises, whatever breaks: `./triptych chaos analytics`, with small numbers."""

import pytest

from triptych.tools.chaos.analytics.scenarios import scenarios
from triptych.tools.chaos.verdict import State

SMALL = scenarios(kills=2)


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL, ids=lambda name: name.replace(" ", "-"))
def test_what_was_promised_is_what_is_counted(name: str) -> None:
    verdict = SMALL[name]()

    assert verdict.state is State.HELD, f"{verdict.promised}: {verdict.counted}"
