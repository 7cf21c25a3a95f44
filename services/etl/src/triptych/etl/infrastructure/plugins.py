"""Plugins from the entry points of whatever packages are installed."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from pydantic import BaseModel

from triptych.core.errors import Kind, TriptychError


class BrokenPlugin(TriptychError):
    """A plugin cannot be loaded"""

    kind = Kind.FAILED
    hint = "Mend or remove the package that has it."


class InstalledPlugins:
    """The plugins that are installed, loaded when they are first asked for."""

    def find(self, group: str) -> Mapping[str, type[BaseModel]]:
        """See `Plugins.find`.

        Raises:
            BrokenPlugin: the message names the plugin and its package.
        """
        return _load(group)


@cache
def _load(group: str) -> Mapping[str, type[BaseModel]]:
    plugins: dict[str, type[BaseModel]] = {}
    for entry in entry_points(group=group):
        package = entry.dist.name if entry.dist else "an unknown package"
        try:
            loaded = entry.load()
        except Exception as error:  # a stranger's module may raise whatever it likes
            message = f"{entry.name!r} of {package}: {type(error).__name__}: {error}"
            raise BrokenPlugin(message) from error
        if not (isinstance(loaded, type) and issubclass(loaded, BaseModel)):
            raise BrokenPlugin(f"{entry.name!r} of {package}: it is no pydantic model")
        plugins[entry.name] = loaded
    return plugins
