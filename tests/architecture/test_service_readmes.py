"""A service's README tells every setting, command and error, on one page."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

import triptych.analytics
import triptych.analytics.entrypoints.cli
import triptych.etl
import triptych.etl.entrypoints.cli
import triptych.ingestion
import triptych.ingestion.entrypoints.cli
from triptych.core.config import explain
from triptych.core.errors import TriptychError
from triptych.tools.cli import SETTINGS, ServiceName

ROOT = Path(__file__).resolve().parents[2]
COMMANDS: dict[ServiceName, typer.Typer] = {
    ServiceName.INGESTION: triptych.ingestion.entrypoints.cli.cli,
    ServiceName.ETL: triptych.etl.entrypoints.cli.cli,
    ServiceName.ANALYTICS: triptych.analytics.entrypoints.cli.cli,
}


@dataclass(frozen=True)
class Readme:
    """What a service's README says."""

    service: ServiceName
    text: str

    def rows(self, heading: str) -> list[str]:
        """The lines of the tables below a heading."""
        pattern = rf"^## {heading}\n(.*?)(?=^## |\Z)"
        [section] = re.findall(pattern, self.text, re.DOTALL | re.MULTILINE)
        return [line for line in section.splitlines() if line.startswith("| `")]

    def codes(self) -> set[str]:
        """The errors that are told."""
        first_cells = [row.split("|")[1] for row in self.rows("Errors")]
        return {code for cell in first_cells for code in re.findall("`([a-z-]+)`", cell)}


@pytest.fixture(params=list(ServiceName))
def readme(request: pytest.FixtureRequest) -> Readme:
    path = ROOT / "services" / request.param.value / "README.md"
    return Readme(request.param, path.read_text(encoding="utf-8"))


def test_every_setting_is_told_as_the_service_explains_it(readme: Readme) -> None:
    explained = [
        f"| `{setting.variable}` | {setting.type} | {setting.default} | {setting.meaning} |"
        for setting in explain(SETTINGS[readme.service])
    ]

    assert readme.rows("Settings") == explained


def test_every_command_is_told(readme: Readme) -> None:
    lines = " ".join(readme.rows("Command line"))
    registered = COMMANDS[readme.service].registered_commands
    commands = [c.name or c.callback.__name__ for c in registered if c.callback]

    assert commands
    assert [name for name in commands if f"`{readme.service} {name}" not in lines] == []


def test_every_error_of_the_service_is_told(readme: Readme) -> None:
    own = _codes(f"triptych.{readme.service}.")

    assert own
    assert own - readme.codes() == set()


def test_every_error_that_is_told_exists(readme: Readme) -> None:
    assert readme.codes() - _codes() == set()


def test_it_is_one_page(readme: Readme) -> None:
    assert len(readme.text.splitlines()) <= 200


def _codes(package: str = "") -> set[str]:
    """The codes of all errors that the services can raise, or of those that a package defines."""
    for service in (triptych.ingestion, triptych.etl, triptych.analytics):
        for module in pkgutil.walk_packages(service.__path__, f"{service.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return {error.code for error in _below(TriptychError) if error.__module__.startswith(package)}


def _below(base: type[TriptychError]) -> Iterator[type[TriptychError]]:
    for error in base.__subclasses__():
        yield error
        yield from _below(error)
