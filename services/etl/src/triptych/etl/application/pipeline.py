"""Put a pipeline together: its file, and the plugins that it names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from triptych.core import documents
from triptych.core.documents import Document, Problems, Step, WrongDocument, nearest
from triptych.etl.application.plugins import (
    CHECK,
    SINK,
    SOURCE,
    TRANSFORM,
    PluginKind,
    Plugins,
    plugin,
)
from triptych.etl.application.ports import ArrowTransform, Sink, Source
from triptych.etl.domain.pipeline import MAIN, PipelineFile, Refresh
from triptych.etl.domain.plugins import RowCheck, Severity, TableCheck, Transform

P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)

SEVERITY: Final = "severity"
ENGINES: Final = "engines"
BESIDE: Final = frozenset({SEVERITY, ENGINES})
"""What may stand beside a plugin's name: how severe a check is, and another step for an engine."""


@dataclass(frozen=True, slots=True)
class Configured(Generic[P_co]):
    """A plugin, as a pipeline's file configures it."""

    name: str
    """Which step it is, such as `transforms[0] derive`."""
    where: str
    """Where it stands: file, line and column."""
    plugin: P_co
    severity: Severity | None = None

    @property
    def label(self) -> str:
        """What a person finds it by."""
        return f"{self.where}: {self.name}"


@dataclass(frozen=True, slots=True)
class Branch:
    """What is done with the rows of another branch, and where they go."""

    name: str
    origin: str
    """The branch whose rows it starts from; empty for the source's."""
    transforms: tuple[Configured[Transform | ArrowTransform], ...]
    checks: tuple[Configured[RowCheck | TableCheck], ...]
    sink: Configured[Sink] | None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline that is ready to run."""

    path: Path
    file: PipelineFile
    source: Configured[Source]
    inputs: Mapping[str, Configured[Source]]
    branches: tuple[Branch, ...]
    """In an order in which each comes after its origin."""

    @property
    def name(self) -> str:
        """What its position is kept under."""
        return self.file.name

    @property
    def writer(self) -> str:
        """What its position is kept under in a sink."""
        return f"etl:{self.name}"

    @property
    def quarantine(self) -> str:
        """The table of the lake that its quarantined rows go to."""
        return f"{self.name.replace('-', '_')}_quarantine"

    @property
    def sinks(self) -> dict[str, Sink]:
        """The sinks, by the names of their branches."""
        return {branch.name: branch.sink.plugin for branch in self.branches if branch.sink}


def read_pipeline(
    path: Path, plugins: Plugins, environment: Mapping[str, str], engine: str = "duckdb"
) -> Pipeline:
    """The pipeline in a file, as it runs on an engine.

    Raises:
        UnreadableFile: the file cannot be read.
        WrongDocument: with all that is wrong: file, line, what, and the nearest right name.
    """
    return _Reader(documents.load(path), plugins, environment, engine).read()


@dataclass
class _Reader:
    """Reads the parts of one file, and gathers what is wrong with any of them."""

    document: Document
    plugins: Plugins
    environment: Mapping[str, str]
    engine: str
    problems: Problems = field(default_factory=Problems)

    def read(self) -> Pipeline:
        file = self.problems.attempt(lambda: self.document.to(PipelineFile))
        source = self._plugins(SOURCE, ["source"])
        inputs = {
            name: found
            for name in _keys(self.document.value, "inputs")
            for found in self._plugins(SOURCE, ["inputs", name])
        }
        branches = [self._branch(MAIN, "", [])]
        for name, output in _keys(self.document.value, "outputs").items():
            origin = output.get("from", MAIN) if isinstance(output, dict) else MAIN
            branches.append(self._branch(str(name), str(origin), ["outputs", name]))
        ordered = list(self._in_order(branches))
        if file:
            self._check_sinks(file[0], ordered)
        if file and source:
            self._check_source(file[0], source[0])
        self.problems.check()
        return Pipeline(self.document.path, file[0], source[0], inputs, tuple(ordered))

    def _branch(self, name: str, origin: str, steps: list[Step]) -> Branch:
        part = self.document.at(*steps).value
        transforms = self._each(TRANSFORM, part, steps)
        checks = self._each(CHECK, part, steps)
        sink = self._plugins(SINK, [*steps, "sink"]) if "sink" in _mapping(part) else []
        return Branch(name, origin, transforms, checks, sink[0] if sink else None)

    def _each(
        self, kind: PluginKind[P], part: object, steps: list[Step]
    ) -> tuple[Configured[P], ...]:
        listed = _mapping(part).get(kind.plural)
        number = len(listed) if isinstance(listed, list) else 0
        return tuple(
            found
            for index in range(number)
            for found in self._plugins(kind, [*steps, kind.plural, index])
        )

    def _plugins(self, kind: PluginKind[P], steps: list[Step]) -> list[Configured[P]]:
        """The plugin that stands there: one, or none when there is something wrong with it."""
        try:
            use = self.document.at(*steps)
        except (KeyError, TypeError):
            return []  # the file's own model says that it is missing
        if not isinstance(use.value, dict):
            return []
        return self.problems.attempt(lambda: self._plugin(kind, use))

    def _plugin(self, kind: PluginKind[P], use: Document) -> Configured[P]:
        severity, others = self._beside(kind, use)
        if self.engine in others.value:
            use = others.at(self.engine)
        names = [str(name) for name in use.value if name not in BESIDE]
        if len(names) != 1:
            named = ", ".join(names) or "none"
            raise use.wrong([((), f"one {kind.noun} is to be named here, not {named}")])
        [name] = names
        all_defaults = _mapping(_keys(self.document.value, "defaults").get(kind.plural))
        found = plugin(
            use,
            name,
            kind,
            self.plugins,
            defaults=_mapping(all_defaults.get(name)),
            environment=self.environment,
        )
        return Configured(f"{_path(use.trail)} {name}", use.where(name), found, severity)

    def _beside(self, kind: PluginKind[P], use: Document) -> tuple[Severity | None, Document]:
        value = use.value
        severity = None
        if (told := value.get(SEVERITY)) is not None:
            if kind is not CHECK or told not in list(Severity):
                known = ", ".join(Severity)
                problem = f"'severity' is one of {known}, beside a check"
                raise use.wrong([((SEVERITY,), problem)])
            severity = Severity(told)
        if ENGINES not in value:
            return severity, replace(use, value={})
        if kind not in (TRANSFORM, CHECK) or not isinstance(value[ENGINES], dict):
            problem = "'engines' names another step for an engine, beside a transform or a check"
            raise use.wrong([((ENGINES,), problem)])
        return severity, use.at(ENGINES)

    def _in_order(self, branches: list[Branch]) -> Iterator[Branch]:
        """Each branch after the one that it starts from."""
        done = {""}
        left = branches
        while left:
            ready = [branch for branch in left if branch.origin in done]
            if not ready:
                for branch in left:
                    known = [b.name for b in branches if b is not branch]
                    problem = f"'from' leads to no output {branch.origin!r}: "
                    wrong = self.document.wrong(
                        [(("outputs", branch.name), problem + nearest(branch.origin, known))]
                    )
                    self.problems.add(wrong)
                return
            yield from ready
            done |= {branch.name for branch in ready}
            left = [branch for branch in left if branch not in ready]

    def _check_source(self, file: PipelineFile, source: Configured[Source]) -> None:
        if source.plugin.whole and file.refresh is Refresh.INCREMENTAL:
            problem = f"{source.where}: a source that cannot tell what is new needs 'refresh: full'"
            self.problems.add(WrongDocument(problem))

    def _check_sinks(self, file: PipelineFile, branches: list[Branch]) -> None:
        sinks = [branch.sink for branch in branches if branch.sink]
        if not sinks and "sink" not in self.document.value:
            self.problems.add(self.document.wrong([(("name",), "there is no sink")]))
        for sink in sinks:
            if sink.plugin.replaces and file.refresh is Refresh.INCREMENTAL:
                problem = f"{sink.where}: a sink that replaces all rows needs 'refresh: full'"
                self.problems.add(WrongDocument(problem))
        targets = [(type(sink.plugin), sink.plugin.target) for sink in sinks]
        for sink, target in zip(sinks, targets, strict=True):
            if targets.count(target) > 1:
                problem = f"{sink.where}: several outputs write to {sink.plugin.target!r}"
                self.problems.add(WrongDocument(problem))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _keys(value: object, name: str) -> Mapping[str, Any]:
    return _mapping(_mapping(value).get(name))


def _path(steps: Sequence[Step]) -> str:
    """Where something stands in a file: `outputs.daily.transforms[0]`."""
    return "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps
    ).removeprefix(".")
