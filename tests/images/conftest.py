"""The images as Pants builds them: all at once, for all tests."""

from pathlib import Path

import pytest

from triptych.tools.containers import IMAGES
from triptych.tools.pants import pants

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def built() -> None:
    """All images are in the engine."""
    pants(ROOT, "package", *IMAGES)
