"""The pipelines that a server runs, from their files."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from triptych.core.documents import UnreadableFile, WrongDocument
from triptych.core.errors import Kind, TriptychError
from triptych.core.logging import get_logger
from triptych.etl.application.pipeline import Pipeline

log = get_logger(__name__)

_SUFFIXES = (".yaml", ".yml")


class NoPipelines(TriptychError):
    """There is no pipeline to run."""

    kind = Kind.INVALID
    hint = "Name files, or a folder that holds some: NAME.yaml."


class PipelineFiles:
    """Pipelines that change as a whole, or not at all. Thread-safe."""

    def __init__(self, paths: Sequence[Path], read: Callable[[Path], Pipeline]) -> None:
        """Read all files.

        Raises:
            NoPipelines: there are none.
            WrongDocument: files are wrong, or cannot be read: everything that is wrong is told.
        """
        self._paths = tuple(paths)
        self._read = read
        self._pipelines = read_all(self._paths, read)
        self._problem: str | None = None

    def current(self) -> Mapping[str, Pipeline]:
        """All of them, by their names."""
        return self._pipelines

    def problem(self) -> str | None:
        """Why the files as they are now could not be read, if so: older ones are in force."""
        return self._problem

    def reload(self) -> None:
        """Read the files again. When they are broken, what was read before stays in force."""
        try:
            pipelines = read_all(self._paths, self._read)
        except TriptychError as error:
            self._problem = error.sentence
            log.error("pipelines.reload_failed", error=error.sentence)  # noqa: TRY400  # foreseen
            return
        self._pipelines, self._problem = pipelines, None
        log.info("pipelines.reloaded", pipelines=sorted(pipelines))


def read_all(paths: Sequence[Path], read: Callable[[Path], Pipeline]) -> Mapping[str, Pipeline]:
    """The pipelines in files, and in the files of folders, by their names.

    Raises:
        NoPipelines: there are none.
        WrongDocument: files are wrong, or cannot be read: everything that is wrong is told.
    """
    problems: list[str] = []
    found: list[Pipeline] = []
    for path in paths:
        try:
            files = _files(path)
        except OSError as error:
            problems.append(f"{str(path)!r}: {error.strerror}")
            continue
        for file in files:
            try:
                found.append(read(file))
            except (WrongDocument, UnreadableFile) as error:
                problems.append(str(error))
    for name, times in Counter(pipeline.name for pipeline in found).items():
        if times > 1:
            where = " and ".join(str(one.path) for one in found if one.name == name)
            problems.append(f"{where}: several pipelines are named {name!r}")
    if problems:
        raise WrongDocument("\n  ".join(problems))
    if not found:
        raise NoPipelines(", ".join(map(str, paths)))
    return {pipeline.name: pipeline for pipeline in found}


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]  # if there is none, who reads it says so
    return [
        file
        for file in sorted(path.iterdir())
        if file.suffix in _SUFFIXES and not file.stem.endswith(".tests")
    ]
