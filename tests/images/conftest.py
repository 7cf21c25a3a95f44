"""The images as Pants builds them: all at once, for all tests."""

from pathlib import Path

import pytest

from triptych.tools.containers import IMAGES
from triptych.tools.pants import pants

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They take their time."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder with the programs that the images are made of; the images are in the engine."""
    pants(ROOT, "package", *IMAGES, *(image.replace(":image", ":bin") for image in IMAGES))
    return ROOT / "dist"
