"""What the core's documentation says is there, and is true."""

import doctest
import inspect
import pkgutil
from collections.abc import Iterator
from types import FunctionType, ModuleType

import pytest

import triptych.core
from triptych.core import config, documents, domain, durations, errors, logging
from triptych.core.domain import clock, contract, event, json, page, result, time

# By name, so that a build that looks at imports gives this test all that it is about.
MODULES = [
    *(triptych.core, config, documents, domain, durations, errors, logging),
    *(clock, contract, event, json, page, result, time),
]

every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)


def public(owner: ModuleType | type) -> Iterator[tuple[str, object]]:
    """The classes, functions, methods and properties that are defined here, for others to use."""
    home = owner.__name__ if isinstance(owner, ModuleType) else owner.__module__
    for name, value in vars(owner).items():
        if name.startswith("_"):
            continue
        if isinstance(value, type) and value.__module__ == home:
            yield f"{owner.__name__}.{name}", value
            yield from public(value)
        elif isinstance(value, FunctionType) and value.__module__ == home:
            yield f"{owner.__name__}.{name}", value
        elif isinstance(value, property | classmethod | staticmethod):
            yield f"{owner.__name__}.{name}", getattr(owner, name)


def test_every_module_of_the_core_is_looked_at() -> None:
    found = {info.name for info in pkgutil.walk_packages(triptych.core.__path__, "triptych.core.")}

    assert {module.__name__ for module in MODULES} == {"triptych.core", *found}


@every_module
def test_the_examples_in_a_module_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


@every_module
def test_everything_public_has_a_docstring(module: ModuleType) -> None:
    silent = [name for name, value in public(module) if not inspect.getdoc(value)]

    assert module.__doc__
    assert silent == []
