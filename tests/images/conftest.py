"""The images as Pants builds them: all at once, for all tests."""

from pathlib import Path

import pytest

from triptych.tools.containers import IMAGES
from triptych.tools.pants import pants

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip where there is no Pants, as in its own sandboxes."""
    here = Path(__file__).parent
    items.sort(key=lambda item: not item.path.is_relative_to(here))  # the longest first
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(900))
            if not (ROOT / ".git").exists():
                item.add_marker(pytest.mark.skip(reason="this is no clone of the repository"))


@pytest.fixture(scope="session")
def built() -> None:
    """All images are in the engine."""
    pants(ROOT, "package", *IMAGES)
