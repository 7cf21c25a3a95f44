"""The README tells every setting, command and error of the service."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import triptych.etl
from triptych.core.config import explain
from triptych.core.errors import TriptychError
from triptych.etl.entrypoints.cli import cli
from triptych.etl.settings import EtlSettings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[str]:
    """The lines of the tables below a heading."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    return [line for line in section.splitlines() if line.startswith("| `")]


def below(base: type[TriptychError]) -> Iterator[type[TriptychError]]:
    for error in base.__subclasses__():
        yield error
        yield from below(error)


def codes(package: str = "") -> set[str]:
    """The codes of all errors that the service can raise, or of those that a package defines."""
    for module in pkgutil.walk_packages(triptych.etl.__path__, "triptych.etl."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {error.code for error in below(TriptychError) if error.__module__.startswith(package)}


def told() -> set[str]:
    return {row.split("`")[1] for row in rows("Errors")}


def test_every_setting_is_told_as_the_service_explains_it() -> None:
    explained = [
        f"| `{setting.variable}` | {setting.type} | {setting.default} | {setting.meaning} |"
        for setting in explain(EtlSettings)
    ]

    assert rows("Settings") == explained


def test_every_command_is_told() -> None:
    lines = " ".join(rows("Command line"))
    commands = [c.name or c.callback.__name__ for c in cli.registered_commands if c.callback]

    assert commands
    assert [name for name in commands if f"`etl {name}" not in lines] == []


def test_every_error_of_the_service_is_told() -> None:
    own = codes("triptych.etl.")

    assert own
    assert own - told() == set()


def test_every_error_that_is_told_exists() -> None:
    assert told() - codes() == set()


def test_it_is_one_page() -> None:
    assert len(README.splitlines()) <= 110
