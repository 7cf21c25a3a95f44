"""The kinds of plugins, and how a pipeline's file picks one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar, cast

from pydantic import BaseModel

from triptych.core.documents import Document, nearest
from triptych.core.errors import Kind, TriptychError
from triptych.etl.application.ports import EngineFactory, Sink, Source
from triptych.etl.domain.plugins import Check, Transform

P = TypeVar("P")


@dataclass(frozen=True)
class PluginKind(Generic[P]):
    """A kind of plugin; `P` is the protocol that its plugins keep."""

    noun: str

    @property
    def group(self) -> str:
        """The group of entry points that its plugins are registered in."""
        return f"triptych.etl.{self.noun}s"


SOURCE: Final = PluginKind[Source]("source")
TRANSFORM: Final = PluginKind[Transform]("transform")
CHECK: Final = PluginKind[Check]("check")
SINK: Final = PluginKind[Sink]("sink")
ENGINE: Final = PluginKind[EngineFactory]("engine")


class UnknownPlugin(TriptychError):
    """The pipeline names a plugin that is not installed"""

    kind = Kind.INVALID
    hint = "Mend the name, or install the package that has the plugin."


class Plugins(Protocol):
    """The plugins that are installed."""

    def find(self, group: str) -> Mapping[str, type[BaseModel]]:
        """The plugins of a group by name: each is the model of its configuration."""
        ...


def plugin(document: Document, kind: PluginKind[P], plugins: Plugins) -> tuple[str, P]:
    """The plugin that a part of a pipeline's file names and configures, and its name.

    Raises:
        UnknownPlugin: with file, line and the nearest name that there is.
        WrongDocument: its configuration is wrong.
    """
    name = next(iter(document.value))
    known = plugins.find(kind.group)
    if name not in known:
        where = document.where(name)
        raise UnknownPlugin(f"{where}: no {kind.noun} {name!r}: {nearest(name, known)}")
    # The conformance of a plugin to its protocol is its author's promise, not checked here.
    return name, cast("P", document.at(name).to(known[name]))
