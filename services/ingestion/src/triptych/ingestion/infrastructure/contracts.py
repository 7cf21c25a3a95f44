"""Contracts from a folder: `TYPE.vVERSION.json`, one JSON Schema a file."""

import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import orjson

from triptych.core.documents import read_text
from triptych.core.domain.contract import Contract, NotASchema
from triptych.core.errors import Kind, TriptychError
from triptych.ingestion.domain.admission import ContractSet

_NAME = re.compile(r"(?P<type>.+)\.v(?P<version>[1-9][0-9]*)\.json")


class NoContracts(TriptychError):
    """There are no contracts to check events against."""

    kind = Kind.INVALID
    hint = "Set TRIPTYCH_CONTRACTS_DIR to a folder with files like order.placed.v1.json."


@dataclass(frozen=True, slots=True)
class ContractFolder:
    """The contracts as they were in a folder when it was read."""

    contracts: ContractSet

    @classmethod
    def read(cls, folder: Path) -> "ContractFolder":
        """Read a folder.

        Raises:
            NoContracts: it is none, or holds no contract.
            NotASchema: a file in it is no JSON Schema; the message names it.
        """
        try:
            found = sorted(
                (match["type"], int(match["version"]), path)
                for path in folder.iterdir()
                if (match := _NAME.fullmatch(path.name))
            )
        except OSError as error:
            raise NoContracts(f"the folder {str(folder)!r}: {error.strerror}") from None
        if not found:
            raise NoContracts(f"the folder {str(folder)!r} holds none")
        return cls(
            {
                type_: tuple(_read(path, type_, version) for _, version, path in files)
                for type_, files in groupby(found, key=lambda entry: entry[0])
            }
        )

    def current(self) -> ContractSet:
        """All contracts."""
        return self.contracts


def _read(path: Path, type_: str, version: int) -> Contract:
    try:
        schema = orjson.loads(read_text(path))
    except orjson.JSONDecodeError as error:
        raise NotASchema(f"{path}:{error.lineno}:{error.colno}: {error.msg}") from None
    if not isinstance(schema, dict):
        raise NotASchema(f"{path}: it is no JSON object")
    try:
        return Contract(type_, version, schema)
    except NotASchema as error:
        raise NotASchema(f"{path}: {error}", hint=error.hint) from None
