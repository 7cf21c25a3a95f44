"""Plugins from the entry points of whatever packages are installed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from pydantic import BaseModel

from triptych.core.errors import Kind, TriptychError


class BrokenPlugin(TriptychError):
    """A plugin cannot be loaded"""

    kind = Kind.FAILED
    hint = "Mend or remove the package that has it."


@dataclass(frozen=True, slots=True)
class Installed:
    """A plugin that some package brings."""

    name: str
    package: str
    version: str


class InstalledPlugins:
    """The plugins that are installed, each loaded when it is first asked for."""

    def __init__(self) -> None:
        self._entries = entry_points()

    def names(self, group: str) -> Sequence[str]:
        """See `Plugins.names`."""
        return sorted(self._entries.select(group=group).names)

    def load(self, group: str, name: str) -> type[BaseModel]:
        """See `Plugins.load`.

        Raises:
            BrokenPlugin: the message names the plugin and its package.
        """
        found = list(self._entries.select(group=group, name=name))
        if len(found) > 1:
            packages = ", ".join(map(_package, found))
            raise BrokenPlugin(f"several packages have a plugin {name!r}: {packages}")
        return _load(found[0])

    def installed(self, group: str) -> Iterator[Installed]:
        """Where the plugins of a group come from, in the order of their names."""
        for entry in sorted(self._entries.select(group=group), key=lambda entry: entry.name):
            version = entry.dist.version if entry.dist else ""
            yield Installed(entry.name, _package(entry), version)


def _load(entry: EntryPoint) -> type[BaseModel]:
    try:
        loaded = entry.load()
    except Exception as error:  # a stranger's module may raise whatever it likes
        message = f"{entry.name!r} of {_package(entry)}: {type(error).__name__}: {error}"
        raise BrokenPlugin(message) from error
    if not (isinstance(loaded, type) and issubclass(loaded, BaseModel)):
        raise BrokenPlugin(f"{entry.name!r} of {_package(entry)}: it is no pydantic model")
    return loaded


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unknown package"
