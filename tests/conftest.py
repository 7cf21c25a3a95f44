"""What builds the repository takes minutes, and needs a clone of it."""

from pathlib import Path
from typing import Final

import pytest

_HERE: Final = Path(__file__).parent
_SECONDS: Final = {_HERE / "affected": 600, _HERE / "images": 900}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest; skip where there is nothing to clone, as in Pants' own sandboxes."""
    items.sort(key=lambda item: -_SECONDS.get(item.path.parent, 0))
    for item in items:
        if item.path.parent in _SECONDS:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(_SECONDS[item.path.parent]))
            if not (_HERE.parent / ".git").exists():
                item.add_marker(pytest.mark.skip(reason="this is no clone of the repository"))
