"""A disk that is soon full."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoDisk(Exception):
    """No small file system can be mounted here."""


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A folder that holds so much, until the block ends.

    Raises:
        NoDisk: it cannot be mounted here.
    """
    with tempfile.TemporaryDirectory(prefix="triptych-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
        try:
            subprocess.run(mount, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise NoDisk("there is no mount here") from None
        except subprocess.CalledProcessError as error:
            raise NoDisk(f"mount: {error.stderr.strip()}") from None
        try:
            yield Path(folder)
        finally:
            # Lazily: what was killed on it may still be about to end.
            subprocess.run(["umount", "--lazy", folder], check=True)
