"""Paths that a pipeline may name: below the folder TRIPTYCH_FILES_DIR, and none outside of it."""

from pathlib import PurePath
from typing import Annotated, TypeAlias

from pydantic import AfterValidator


def _confined(path: str) -> str:
    parts = PurePath(path)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts:
        raise ValueError(f"{path!r} leads out of the folder TRIPTYCH_FILES_DIR")
    return path


Confined: TypeAlias = Annotated[str, AfterValidator(_confined)]
"""A path, or a pattern of paths, below the folder TRIPTYCH_FILES_DIR."""
