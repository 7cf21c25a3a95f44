"""What a scenario promised, and what it counted."""

from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """How a scenario ended."""

    HELD = "held"
    BROKEN = "BROKEN"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a scenario."""

    scenario: str
    promised: str
    counted: str
    state: State


@dataclass(slots=True)
class Findings:
    """What a scenario counts, one fact after the other."""

    scenario: str
    promised: str
    facts: list[str] = field(default_factory=list)
    held: bool = True

    def add(self, fact: str, *, holds: bool = True) -> None:
        """Write a fact down, and whether it is as promised."""
        self.facts.append(fact if holds else f"{fact} (BROKEN)")
        self.held = self.held and holds

    def verdict(self) -> Verdict:
        """The end: it held if every fact did."""
        state = State.HELD if self.held else State.BROKEN
        return Verdict(self.scenario, self.promised, "; ".join(self.facts), state)

    def skipped(self, reason: str) -> Verdict:
        """The end of what cannot be tried here."""
        return Verdict(self.scenario, self.promised, reason, State.SKIPPED)
