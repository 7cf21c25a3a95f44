"""Tell which names of each library which services use, and which of them fewer than two do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from triptych.tools.workspace import Package


@dataclass(frozen=True, slots=True)
class Use:
    """A public name of a library, and who imports it."""

    library: str
    name: str
    services: tuple[str, ...]
    libraries: tuple[str, ...]

    @property
    def shared(self) -> bool:
        """Whether it is where it belongs: at least two services use it, or another library does."""
        return len(self.services) > 1 or bool(self.libraries)


def uses(packages: Sequence[Package]) -> Iterator[Use]:
    """All names of libraries that anybody imports, in the order of their names."""
    users = [package for package in packages if package.ships]
    for library in packages:
        if library.is_service or not library.ships:
            continue
        by: Mapping[str, frozenset[str]] = {
            user.name: user.uses.get(library.name, frozenset()) for user in users
        }
        for name in sorted(frozenset().union(*by.values())):
            who = [user for user in users if name in by[user.name]]
            yield Use(
                library.name,
                name,
                tuple(user.name for user in who if user.is_service),
                tuple(user.name for user in who if not user.is_service),
            )


def table(found: Sequence[Use], *, alone: bool = False) -> Table:
    """A row for each name; with `alone` only for those that fewer than two services use."""
    made = Table("library", "name", "services", "libraries", box=None, padding=(0, 2, 0, 0))
    for use in found:
        if not (alone and use.shared):
            made.add_row(use.library, use.name, ", ".join(use.services), ", ".join(use.libraries))
    return made
