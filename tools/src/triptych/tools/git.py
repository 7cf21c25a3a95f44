"""Ask git."""

import subprocess
from pathlib import Path

from triptych.core.errors import Kind, TriptychError


class GitFailed(TriptychError):
    """Git does not do what it was asked for."""

    kind = Kind.INVALID
    hint = "Run it in a clone, and name a commit, a branch or a tag that is there."


def git(root: Path, *arguments: str) -> str:
    """What git prints in a clone.

    Raises:
        GitFailed: it fails, as with a revision that it does not know.
    """
    command = ["git", *arguments]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if told.returncode:
        raise GitFailed(told.stderr.strip())
    return told.stdout
