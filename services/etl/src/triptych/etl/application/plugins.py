"""The kinds of plugins, and how a pipeline's file picks one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from pydantic import BaseModel

from triptych.core.documents import Document, WrongDocument, nearest
from triptych.etl.application.ports import ArrowTransform, EngineFactory, Sink, Source
from triptych.etl.domain.plugins import RowCheck, TableCheck, Transform

P = TypeVar("P")


@dataclass(frozen=True)
class PluginKind(Generic[P]):
    """A kind of plugin; `P` is the protocol that its plugins keep."""

    noun: str

    @property
    def plural(self) -> str:
        """What several are called: in files, and in the entry points' group."""
        return f"{self.noun}s"

    @property
    def group(self) -> str:
        """The group of entry points that its plugins are registered in."""
        return f"triptych.etl.{self.plural}"


SOURCE: Final = PluginKind[Source]("source")
TRANSFORM: Final = PluginKind[Transform | ArrowTransform]("transform")
CHECK: Final = PluginKind[RowCheck | TableCheck]("check")
SINK: Final = PluginKind[Sink]("sink")
ENGINE: Final = PluginKind[EngineFactory]("engine")
KINDS: Final[tuple[PluginKind[Any], ...]] = (SOURCE, TRANSFORM, CHECK, SINK, ENGINE)


class UnknownPlugin(WrongDocument):
    """The pipeline names a plugin that is not installed"""

    hint = "Mend the name, or install the package that has the plugin."


class Plugins(Protocol):
    """The plugins that are installed."""

    def names(self, group: str) -> Sequence[str]:
        """The names of a group's plugins, in the order of the alphabet."""
        ...

    def load(self, group: str, name: str) -> type[BaseModel]:
        """One of them: the model of its configuration.

        Raises:
            BrokenPlugin: it cannot be loaded.
        """
        ...


def plugin(
    document: Document,
    name: str,
    kind: PluginKind[P],
    plugins: Plugins,
    *,
    defaults: Mapping[str, Any],
    environment: Mapping[str, str],
) -> P:
    """The plugin of that name, as a part of a pipeline's file configures it under that name.

    `defaults` stand for what the part does not say; `environment` for what it refers to.

    Raises:
        UnknownPlugin: with file, line and the nearest name that there is.
        WrongDocument: its configuration is wrong.
    """
    known = plugins.names(kind.group)
    if name not in known:
        where = document.where(name)
        raise UnknownPlugin(f"{where}: no {kind.noun} {name!r}: {nearest(name, known)}")
    configuration = document.at(name)
    if isinstance(configuration.value, dict | None):
        configuration = configuration.over(defaults)
    # The conformance of a plugin to its protocol is its author's promise, not checked here.
    return cast("P", configuration.to(plugins.load(kind.group, name), {"environment": environment}))
