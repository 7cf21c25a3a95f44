"""Contracts from a folder."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from triptych.core.domain.contract import NotASchema
from triptych.core.domain.event import Event
from triptych.ingestion.domain.admission import ContractSet
from triptych.ingestion.infrastructure.contracts import ContractFolder, NoContracts
from triptych.testing.builders import an_event


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
    write(tmp_path, "shared.json", {"$defs": {}})
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

    with pytest.raises(NotASchema, match=r"order\.v1\.json"):
        ContractFolder.read(tmp_path)


MONEY = {"$id": "urn:shop:money", "$defs": {"amount": {"type": "string", "pattern": "^[0-9]+$"}}}


def keywords(contracts: ContractSet, event: Event) -> list[str]:
    """The rules of the newest contract that an order breaks."""
    return [violation.keyword for violation in contracts["order"][-1].violations(event)]


@pytest.mark.parametrize(
    "reference",
    ["money.json#/$defs/amount", "./money.json#/$defs/amount", "urn:shop:money#/$defs/amount"],
)
@pytest.mark.parametrize("own_id", ["urn:shop:order", "https://shop.example/order", None])
def test_contracts_share_parts_by_file_and_by_id(
    tmp_path: Path, reference: str, own_id: str | None
) -> None:
    schema = {"properties": {"price": {"$ref": reference}}, **({"$id": own_id} if own_id else {})}
    write(tmp_path, "order.v1.json", schema)
    write(tmp_path, "money.json", MONEY)

    contracts = ContractFolder.read(tmp_path).current()

    assert keywords(contracts, an_event(data={"price": "12"})) == []
    assert keywords(contracts, an_event(data={"price": "x"})) == ["pattern"]


def test_parts_may_refer_to_parts_and_to_themselves(tmp_path: Path) -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}, "n": {"$ref": "number.json"}}}
    write(tmp_path, "order.v1.json", {"$ref": "tree.json"})
    write(tmp_path, "tree.json", tree)
    write(tmp_path, "number.json", {"type": "integer"})

    contracts = ContractFolder.read(tmp_path).current()

    assert keywords(contracts, an_event(data={"left": {"left": {"n": 1}}})) == []
    assert keywords(contracts, an_event(data={"left": {"left": {"n": "1"}}})) == ["type"]


@pytest.mark.parametrize("reference", ["mony.json", "../money.json", "/etc/passwd"])
def test_a_file_that_is_not_in_the_folder_is_named_and_never_read(
    tmp_path: Path, reference: str
) -> None:
    write(tmp_path, "order.v1.json", {"properties": {"price": {"$ref": f"{reference}#/x"}}})
    write(tmp_path, "money.json", MONEY)

    with pytest.raises(NotASchema) as refused:
        ContractFolder.read(tmp_path)

    where = f"order.v1.json: /properties/price/$ref: no file {reference!r} here; "
    assert where in str(refused.value)


def test_all_broken_files_are_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a.v1.json", b"{")
    write(tmp_path, "b.v1.json", {"type": "objekt"})
    write(tmp_path, "c.v1.json", {"$id": "urn:same"})
    write(tmp_path, "d.v1.json", {"$id": "urn:same"})

    with pytest.raises(NotASchema) as refused:
        ContractFolder.read(tmp_path)

    lines = str(refused.value).splitlines()
    assert len(lines) == 3
    assert "c.v1.json and d.v1.json have the same $id 'urn:same'" in str(refused.value)


def test_a_pattern_that_backtracks_does_not_go_on_for_ever(tmp_path: Path) -> None:
    write(tmp_path, "order.v1.json", {"properties": {"a": {"pattern": "^(?=(a+)+b)"}}})
    contracts = ContractFolder.read(tmp_path).current()

    found = keywords(contracts, an_event(data={"a": "a" * 5000}))

    assert found == ["pattern"]


def test_reloading_takes_the_new_contracts_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path, "order.v1.json", {})
    folder = ContractFolder.read(tmp_path)
    before = folder.current()
    write(tmp_path, "order.v2.json", {"required": ["n"]})

    folder.reload()

    assert [contract.version for contract in folder.current()["order"]] == [1, 2]
    assert [contract.version for contract in before["order"]] == [1]
    assert folder.problem() is None


def test_a_broken_folder_keeps_the_old_contracts_and_says_so(tmp_path: Path) -> None:
    write(tmp_path, "order.v1.json", {})
    folder = ContractFolder.read(tmp_path)
    write(tmp_path, "order.v2.json", b"{")

    folder.reload()

    assert [contract.version for contract in folder.current()["order"]] == [1]
    assert "order.v2.json:1:2" in (folder.problem() or "")
    (tmp_path / "order.v2.json").unlink()
    folder.reload_if_changed()
    assert folder.problem() is None


def test_a_folder_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    write(tmp_path, "order.v1.json", {})
    folder = ContractFolder.read(tmp_path)
    before = folder.current()

    folder.reload_if_changed()
    assert folder.current() is before
    write(tmp_path, "order.v1.json", {"title": "longer"})
    folder.reload_if_changed()

    assert folder.current()["order"][0].schema == {"title": "longer"}


def test_binary_data_keeps_a_contract_that_asks_for_it(tmp_path: Path) -> None:
    schema = {"contentEncoding": "base64", "contentMediaType": "image/png", "maxLength": 8}
    write(tmp_path, "order.v1.json", schema)
    contracts = ContractFolder.read(tmp_path).current()

    def found(data: bytes, media_type: str) -> list[str]:
        return keywords(contracts, an_event(data=data, datacontenttype=media_type))

    assert found(b"12345", "image/png") == []
    assert found(b"1234567", "image/png") == ["maxLength"]
    assert found(b"12345", "image/gif") == ["contentMediaType"]
