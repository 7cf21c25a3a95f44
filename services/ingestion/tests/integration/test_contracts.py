"""Contracts from a folder."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from triptych.core.documents import UnreadableFile
from triptych.core.domain.contract import NotASchema
from triptych.ingestion.infrastructure.contracts import ContractFolder, NoContracts


def write(folder: Path, name: str, schema: Any) -> None:
    content = schema if isinstance(schema, bytes) else orjson.dumps(schema)
    (folder / name).write_bytes(content)


def test_every_version_of_a_type_is_read_in_the_order_of_numbers(tmp_path: Path) -> None:
    for version in (10, 2, 1):
        write(tmp_path, f"order.placed.v{version}.json", {})

    contracts = ContractFolder.read(tmp_path).current()

    assert [contract.version for contract in contracts["order.placed"]] == [1, 2, 10]


def test_each_type_has_its_own_contracts(tmp_path: Path) -> None:
    write(tmp_path, "order.placed.v1.json", {})
    write(tmp_path, "order.v1.json", {})

    assert set(ContractFolder.read(tmp_path).current()) == {"order", "order.placed"}


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "order.v1.json", {})
    write(tmp_path, "order.v0.json", b"no contract: versions count from 1")
    write(tmp_path, "README.md", b"# Contracts")

    assert set(ContractFolder.read(tmp_path).current()) == {"order"}


def test_the_shops_examples_keep_their_own_contract(shop: Path) -> None:
    folder = shop / "contracts"

    contracts = ContractFolder.read(folder).current()

    assert [contract.uri for contract in contracts["shop.invoice"]] == [
        "urn:triptych:shop.invoice:1"
    ]


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_a_folder_without_contracts_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()

    with pytest.raises(NoContracts, match=name):
        ContractFolder.read(tmp_path / name)


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        (b'{"type":\n  objekt}', r"order\.v1\.json:2:3: "),
        (b"[]", r"order\.v1\.json: it is no JSON object"),
        ({"type": "objekt"}, r"order\.v1\.json: order/1: /type: "),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#"},
            r"order\.v1\.json: order/1: \$schema",
        ),
        ({"$ref": "https://example.com/other.json"}, r"order\.v1\.json: order/1: "),
    ],
    ids=["no-json", "no-object", "no-schema", "another-draft", "a-reference-to-the-network"],
)
def test_a_contract_that_is_no_schema_is_named(tmp_path: Path, schema: Any, where: str) -> None:
    write(tmp_path, "order.v1.json", schema)

    with pytest.raises(NotASchema, match=where):
        ContractFolder.read(tmp_path)


def test_a_contract_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "order.v1.json").mkdir()

    with pytest.raises(UnreadableFile, match=r"order\.v1\.json"):
        ContractFolder.read(tmp_path)
