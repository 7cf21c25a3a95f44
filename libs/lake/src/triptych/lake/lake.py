"""The tables below one folder."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from triptych.lake.errors import LakeAway, WrongLake, WrongTableName
from triptych.lake.table import Table

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Lake:
    """The tables below a folder. Thread-safe; any number of processes may write at once."""

    root: Path

    @classmethod
    def open(cls, url: str) -> "Lake":
        """The lake at `url`: a path, or `file://` and one.

        Raises:
            WrongLake: the URL is of another scheme, or the path looks percent-encoded.
            LakeAway: the folder cannot be made, or is none.
        """
        scheme, separator, path = url.partition("://")
        if separator and scheme != "file":
            raise WrongLake(f"{scheme!r} is not supported")
        root = Path(unquote(path) if separator else url)
        if re.search("%[0-9A-Fa-f]{2}", str(root)):  # deltalake would decode it, and look elsewhere
            raise WrongLake(f"{str(root)!r} looks percent-encoded")
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LakeAway(f"the folder {str(root)!r}: {error.strerror}") from None
        return cls(root.resolve())

    def table(self, name: str) -> Table:
        """The table of that name, which need not exist yet.

        Raises:
            WrongTableName: the name could lead out of the lake, or be misread.
        """
        if not _NAME.fullmatch(name):
            raise WrongTableName(repr(name))
        return Table(name, self.root / name)

    def names(self) -> list[str]:
        """The tables that exist, in the order of the alphabet.

        Raises:
            LakeAway: the folder cannot be read.
        """
        try:
            return sorted(p.name for p in self.root.iterdir() if any(p.glob("_delta_log/*.json")))
        except OSError as error:
            raise LakeAway(f"the folder {str(self.root)!r}: {error.strerror}") from None
