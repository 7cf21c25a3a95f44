"""Contracts from a folder: `TYPE.vVERSION.json`, one JSON Schema a file.

Any other `*.json` is a part that contracts share: they refer to it by its name in the folder
(`"$ref": "money.json#/$defs/amount"`) or by its `$id`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final, TypeAlias

import orjson

from triptych.core.documents import UnreadableFile, nearest, read_text
from triptych.core.domain.contract import Contract, NotASchema
from triptych.core.domain.json import Json, pointer
from triptych.core.errors import Kind, TriptychError
from triptych.core.logging import get_logger
from triptych.ingestion.domain.admission import ContractSet

log = get_logger(__name__)

_NAME: Final = re.compile(r"(?P<type>.+)\.v(?P<version>[1-9][0-9]*)\.json")
_BASE: Final = "contracts:///"
_VALUES: Final = frozenset({"const", "default", "enum", "examples"})
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

Schemas: TypeAlias = Mapping[str, Mapping[str, Json]]
_Look: TypeAlias = tuple[tuple[str, int, int], ...]


class NoContracts(TriptychError):
    """There are no contracts to check events against."""

    kind = Kind.INVALID
    hint = "Set TRIPTYCH_CONTRACTS_DIR to a folder with files like order.placed.v1.json."


@dataclass
class ContractFolder:
    """The contracts of a folder, as they were when it was last read whole. Thread-safe."""

    folder: Path
    _contracts: ContractSet = field(default_factory=dict)
    _look: _Look = ()
    _problem: str | None = None

    @classmethod
    def read(cls, folder: Path) -> "ContractFolder":
        """Read a folder.

        Raises:
            NoContracts: it is none, or holds no contract.
            NotASchema: files in it are no JSON Schemas; the message names them all.
        """
        return cls(folder, read_contracts(folder), _look(folder))

    def current(self) -> ContractSet:
        """All contracts; they change as a whole, or not at all."""
        return self._contracts

    def problem(self) -> str | None:
        """Why the folder as it is now could not be read, if so: older contracts are in force."""
        return self._problem

    def reload(self) -> None:
        """Read the folder again. When it is broken, what was read before stays in force."""
        self._look = _look(self.folder)
        try:
            contracts = read_contracts(self.folder)
        except TriptychError as error:
            self._problem = error.sentence
            log.error("contracts.reload_failed", error=error.sentence)  # noqa: TRY400  # foreseen
            return
        before, self._contracts, self._problem = self._contracts, contracts, None
        log.info("contracts.reloaded", **_difference(before, contracts))

    def reload_if_changed(self) -> None:
        """Read the folder again if its files' names, sizes or times are others."""
        if _look(self.folder) != self._look:
            self.reload()


def read_contracts(folder: Path) -> ContractSet:
    """The contracts of a folder, each type's from the oldest version to the newest.

    Raises:
        NoContracts: it is none, or holds no contract.
        NotASchema: files in it are no JSON Schemas; the message names them all.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError as error:
        raise NoContracts(f"the folder {str(folder)!r}: {error.strerror}") from None
    problems: list[str] = []
    schemas: dict[str, Mapping[str, Json]] = {}
    for path in paths:
        try:
            schemas[path.name] = _schema(path)
        except (NotASchema, UnreadableFile) as error:
            problems.append(str(error))
    problems += _same_ids(folder, schemas)
    schemas = {name: _with_files(folder, name, schemas, problems) for name in schemas}
    parts = {f"{_BASE}{name}": schema for name, schema in schemas.items()}
    parts |= {uri: s for s in schemas.values() if isinstance(uri := s.get("$id"), str)}
    found = sorted(
        (match["type"], int(match["version"]), name)
        for name in schemas
        if (match := _NAME.fullmatch(name))
    )
    contracts: dict[str, tuple[Contract, ...]] = {}
    for type_, versions in groupby(found, key=lambda entry: entry[0]):
        made = []
        for _, version, name in versions:
            try:
                made.append(Contract(type_, version, schemas[name], parts))
            except NotASchema as error:
                problems.append(f"{folder / name}: {error}")
        contracts[type_] = tuple(made)
    if problems:
        raise NotASchema("\n  ".join(problems))
    if not contracts:
        raise NoContracts(f"the folder {str(folder)!r} holds none")
    return contracts


def _schema(path: Path) -> Mapping[str, Json]:
    try:
        schema = orjson.loads(read_text(path))
    except orjson.JSONDecodeError as error:
        raise NotASchema(f"{path}:{error.lineno}:{error.colno}: {error.msg}") from None
    if not isinstance(schema, dict):
        raise NotASchema(f"{path}: it is no JSON object")
    return schema


def _same_ids(folder: Path, schemas: Schemas) -> Iterator[str]:
    ids = Counter(str(schema["$id"]) for schema in schemas.values() if "$id" in schema)
    for uri, times in ids.items():
        if times > 1:
            names = [name for name, schema in schemas.items() if schema.get("$id") == uri]
            yield f"{folder}: {' and '.join(names)} have the same $id {uri!r}"


def _with_files(
    folder: Path, name: str, schemas: Schemas, problems: list[str]
) -> Mapping[str, Json]:
    """A schema whose references to files of the folder are URIs, whatever its `$id` is."""

    def resolved(value: Json, *path: str | int) -> Json:
        if isinstance(value, list):
            return [resolved(item, *path, n) for n, item in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        return {
            key: (
                inner
                if key in _VALUES
                else (
                    reference(inner, *path, key)
                    if key == "$ref" and isinstance(inner, str)
                    else resolved(inner, *path, key)
                )
            )
            for key, inner in value.items()
        }

    def reference(text: str, *path: str | int) -> str:
        file, hash_, fragment = text.partition("#")
        if not file or _SCHEME.match(file):
            return text
        file = file.removeprefix("./")
        if file not in schemas:
            known = nearest(file, list(schemas))
            problems.append(f"{folder / name}: {pointer(*path)}: no file {file!r} here; {known}")
        return f"{_BASE}{file}{hash_}{fragment}"

    whole = resolved(schemas[name])
    assert isinstance(whole, dict)  # noqa: S101  # as it was before
    return whole


def _look(folder: Path) -> _Look:
    """What tells whether files were changed; of a folder that is gone, nothing."""
    try:
        found = [(path.name, path.stat()) for path in folder.iterdir() if path.suffix == ".json"]
    except OSError:
        return ()
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in found))


def _difference(before: ContractSet, after: ContractSet) -> dict[str, object]:
    old = {contract.id: contract for versions in before.values() for contract in versions}
    new = {contract.id: contract for versions in after.values() for contract in versions}
    return {
        "contracts": len(new),
        "added": sorted(new.keys() - old.keys()),
        "changed": sorted(id_ for id_ in new.keys() & old.keys() if new[id_] != old[id_]),
        "removed": sorted(old.keys() - new.keys()),
    }
