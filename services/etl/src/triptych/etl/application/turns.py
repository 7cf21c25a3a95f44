"""The port by which servers agree whose turn it is."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from triptych.etl.domain.schedule import Turn


class Turns(Protocol):
    """Leases: one server at a time runs a pipeline, as long as it says again and again that it does.

    They avoid useless work, and nothing depends on them. When clocks differ, or a server sleeps beyond
    its lease's end, two may run a pipeline at once, as `etl run` may beside a server: that each row
    is written exactly once is the commit's promise. Thread-safe.
    """

    def seen(self, pipelines: Collection[str], now: datetime) -> Mapping[str, Turn]:
        """The turns of these pipelines; one that was never seen begins to wait now.

        Raises:
            DatabaseAway: they cannot be known; so do all others.
        """
        ...

    def take(self, turn: Turn, owner: str, now: datetime, until: datetime) -> bool:
        """Take a turn, unless somebody else has it, or has had it since `turn` was seen."""
        ...

    def keep(self, pipeline: str, owner: str, until: datetime) -> bool:
        """Keep a turn for longer; whether it is still the owner's."""
        ...

    def give_back(self, pipeline: str, owner: str, had_at: datetime | None) -> None:
        """Let others have it. It counts as had then; or not at all, and is due as before."""
        ...
