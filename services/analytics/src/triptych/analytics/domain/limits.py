"""How much a client may ask for: sliding windows, with costs.

A window is cut into slots, and what a client used is kept by slot. A slot counts until all of it has
left the window: so in no window whatsoever does a client get more than the quota. (A token bucket,
or the generic cell rate algorithm, would let twice as much through: all at once, and what came back
meanwhile.) The price is that units come back up to a slot's length late.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

SLOTS: Final = 20
"""How many slots a window has."""

Used: TypeAlias = Mapping[int, int]
"""What a client used of a policy, by the number of the slot."""


@dataclass(frozen=True, slots=True)
class Policy:
    """So many units, at most, in any stretch of so many seconds."""

    name: str
    quota: int
    window: int

    @property
    def slot(self) -> float:
        """The length of a slot, in seconds."""
        return self.window / SLOTS

    def cost(self, cost: int) -> int:
        """What something of that cost takes: no more than all, so that everything is possible."""
        return min(cost, self.quota)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a client stands with one policy."""

    policy: Policy
    remaining: int
    """Units that it may use now."""
    reset: int
    """Seconds until all of the quota is there again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a client may have what it asks for, and where it stands then."""

    allowed: bool
    standings: tuple[Standing, ...]
    retry_after: int = 0
    """Seconds after which it may, if nothing else is asked for meanwhile."""

    @property
    def tightest(self) -> Standing:
        """The policy that leaves least."""
        return min(self.standings, key=lambda s: s.remaining / s.policy.quota)


def current(policy: Policy, used: Used, now: float) -> dict[int, int]:
    """What still counts. What a clock that was set back since has put into the future counts as
    used just now: it locks nobody out for longer than a window."""
    this = int(now / policy.slot)
    oldest = this - SLOTS
    if not used or (oldest <= min(used) and max(used) <= this):
        return dict(used)
    found: dict[int, int] = {}
    for slot, units in used.items():
        if slot >= oldest:
            counted = min(this, slot)
            found[counted] = found.get(counted, 0) + units
    return found


def decide(
    policies: Sequence[Policy], used: Mapping[str, Used], cost: int, now: float
) -> tuple[Verdict, dict[str, dict[int, int]]]:
    """Whether a cost fits into all policies, and what is used then: what was, if it does not."""
    counting = {p.name: current(p, used.get(p.name, {}), now) for p in policies}
    waits = [_wait(policy, counting[policy.name], policy.cost(cost), now) for policy in policies]
    allowed = not any(waits)
    if allowed and cost:
        for policy in policies:
            slots, this = counting[policy.name], int(now / policy.slot)
            slots[this] = slots.get(this, 0) + policy.cost(cost)
    standings = tuple(standing(policy, counting[policy.name], now) for policy in policies)
    return Verdict(allowed, standings, math.ceil(max(waits, default=0))), counting


def standing(policy: Policy, counting: Used, now: float) -> Standing:
    """Where a client stands that used this."""
    free = policy.quota - sum(counting.values())
    last = max(counting, default=None)
    reset = 0.0 if last is None else _left(policy, last) - now
    return Standing(policy, max(free, 0), math.ceil(reset))


def _wait(policy: Policy, counting: Used, cost: int, now: float) -> float:
    """The seconds until so many units are free."""
    missing = sum(counting.values()) + cost - policy.quota
    if missing <= 0:
        return 0.0
    for slot in sorted(counting):
        missing -= counting[slot]
        if missing <= 0:
            return _left(policy, slot) - now
    raise AssertionError("a cost is no more than the quota")


def _left(policy: Policy, slot: int) -> float:
    """When a slot has left the window."""
    return (slot + SLOTS + 1) * policy.slot
