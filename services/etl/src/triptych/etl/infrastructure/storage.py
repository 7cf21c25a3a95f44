"""Files where they are: below a folder, or in object storage that speaks S3.

An object is called by its URL, `s3://BUCKET/KEY`. It is known by its size and by when it was changed,
to the second, as a list of objects tells them. What is read is downloaded first, to a temporary folder
that mirrors the URLs, so that whatever reads local files reads objects.
"""

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Self, TypeAlias

import pyarrow.fs as pafs
from pydantic import AfterValidator, Field, model_validator

from triptych.core.documents import Part
from triptych.core.errors import Kind, TriptychError
from triptych.etl.domain.secrets import FromEnvironment, Secret
from triptych.etl.infrastructure.folders import Confined

S3: Final = "s3://"
_WILD: Final = "*?["
_CHUNK: Final = 2**20

Mark: TypeAlias = list[int]
"""A file's size, and when it was changed, in nanoseconds."""


class StorageAway(TriptychError):
    """Object storage cannot be read."""

    kind = Kind.UNAVAILABLE
    hint = "Nothing was committed. Check the bucket, 'storage' and the credentials; run it again."


class DownloadTooLarge(TriptychError):
    """There is more to download than is allowed."""

    kind = Kind.TOO_LARGE
    hint = "Name fewer objects in 'paths', or raise 'storage.max_bytes'."


def _readable(pattern: str) -> str:
    if pattern.startswith(S3):
        bucket, _, key = pattern.removeprefix(S3).partition("/")
        if not bucket or not key or any(sign in bucket for sign in _WILD):
            raise ValueError(f"{pattern!r} is not of the form s3://BUCKET/PATTERN")
    return pattern


Pattern: TypeAlias = Annotated[Confined, AfterValidator(_readable)]
"""A pattern of files below the folder TRIPTYCH_FILES_DIR, or of objects: s3://BUCKET/PATTERN."""


class Storage(Part):
    """How object storage is reached; what is left out is taken from the environment, as AWS does."""

    endpoint: FromEnvironment | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Of storage that is not Amazon's.",
        examples=["https://s3.shop.example"],
    )
    region: str | None = Field(default=None, examples=["eu-central-1"])
    access_key: Secret | None = None
    secret_key: Secret | None = None
    session_token: Secret | None = None
    max_bytes: int = Field(default=64 * 2**30, ge=1, description="To download in one run.")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("'access_key' and 'secret_key' need each other")
        return self

    def look(self, pattern: str) -> dict[str, Mark]:
        """The objects that match a pattern, by their URLs.

        Raises:
            StorageAway: they cannot be listed.
        """
        parts = pattern.removeprefix(S3).split("/")
        fixed = parts[:-1]
        wild = next((n for n, part in enumerate(fixed) if any(s in part for s in _WILD)), None)
        folder = "/".join(fixed[:wild])
        selector = pafs.FileSelector(folder, allow_not_found="/" in folder, recursive=True)
        try:
            found = self._system().get_file_info(selector)
        except OSError as error:
            raise StorageAway(f"{S3}{folder}: {_told(error)}") from None
        return {
            S3 + info.path: _mark(info)
            for info in found
            if info.is_file and _matches(info.path.split("/"), parts)
        }

    def marks(self, urls: Iterable[str]) -> dict[str, Mark]:
        """What those of these objects that are there are known by.

        Raises:
            StorageAway: they cannot be asked for.
        """
        paths = [url.removeprefix(S3) for url in urls]
        try:
            found = self._system().get_file_info(paths)
        except OSError as error:
            raise StorageAway(f"{S3}{paths[0]}: {_told(error)}") from None
        return {S3 + info.path: _mark(info) for info in found if info.is_file}

    def download(self, objects: Mapping[str, Mark]) -> "Downloaded":
        """Download these objects.

        Raises:
            DownloadTooLarge: together they are.
            StorageAway: one cannot be read.
        """
        if (size := sum(size for size, _ in objects.values())) > self.max_bytes:
            raise DownloadTooLarge(f"{size} bytes; allowed are {self.max_bytes}")
        downloaded, system = Downloaded(), self._system()
        for url in objects:
            path = downloaded.path(url)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with (
                    system.open_input_stream(url.removeprefix(S3), compression=None) as source,
                    path.open("wb") as target,
                ):
                    shutil.copyfileobj(source, target, _CHUNK)
            except OSError as error:
                raise StorageAway(f"{url}: {_told(error)}") from None
        return downloaded

    def _system(self) -> pafs.S3FileSystem:
        scheme, _, place = (self.endpoint or "").rpartition("://")
        secrets = {
            name: secret.get_secret_value()
            for name in ("access_key", "secret_key", "session_token")
            if (secret := getattr(self, name)) is not None
        }
        return pafs.S3FileSystem(
            **secrets,
            region=self.region,
            endpoint_override=place or None,
            scheme=scheme or "https",
            connect_timeout=10,
            request_timeout=60,
        )


class Downloaded:
    """Objects in a temporary folder, which is removed when nobody needs this any more."""

    def __init__(self) -> None:
        self.folder: Final = Path(tempfile.mkdtemp(prefix="triptych-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, url: str) -> Path:
        """Where an object is.

        Raises:
            StorageAway: its key leads out of the folder.
        """
        parts = url.removeprefix(S3).split("/")
        if not all(part.strip(".") for part in parts):
            raise StorageAway(f"{url}: no file can have that name")
        return self.folder.joinpath(*parts)


def _mark(info: pafs.FileInfo) -> Mark:
    return [info.size, info.mtime_ns]


def _matches(parts: list[str], pattern: list[str]) -> bool:
    """Whether a path matches, as `Path.glob` would have it."""
    match pattern:
        case []:
            return not parts
        case ["**", *rest]:
            return any(_matches(parts[n:], rest) for n in range(len(parts) + 1))
        case [first, *rest]:
            return bool(parts) and fnmatchcase(parts[0], first) and _matches(parts[1:], rest)
    return False


def _told(error: OSError) -> str:
    return str(error).splitlines()[0]
