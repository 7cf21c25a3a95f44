"""The conformance kit finds what is wrong with a source or a sink, and says so to its author."""

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from sqlglot import exp

from triptych.core.documents import Part
from triptych.etl.application.ports import Batches, Effects, Reading, Resources, Writing
from triptych.etl.domain.plugins import Rule
from triptych.etl.domain.relation import Relation, column
from triptych.etl.testing.configuration import Conformance
from triptych.etl.testing.sinks import SinkConformance
from triptych.etl.testing.sources import SourceConformance
from triptych.lake.change import Progress
from triptych.lake.errors import ConcurrentCommit

SCHEMA = pa.schema({"n": pa.int64()})


class Numbers(Part):
    """Read numbers from a file, in one way that is right and in some that are not."""

    wrong: str = ""
    whole: ClassVar = False
    reads: ClassVar[list[int]] = []
    origin: ClassVar = "numbers"

    def newest(self, reading: Reading, after: int) -> int:
        if self.wrong == "stuck":
            return 1
        newest = max(after, len(stored(reading.resources.files)))
        return newest + 1 if self.wrong == "restless" and newest == after else newest

    def read(self, reading: Reading, after: int, until: int) -> Batches:
        self.reads.append(1)
        numbers = stored(reading.resources.files)[0 if self.wrong == "greedy" else after : until]
        if self.wrong == "shifty":
            numbers = [len(self.reads)]
        return batches(numbers)

    def given(self, rows: Sequence[Mapping[str, Any]]) -> Batches:
        return batches([row["n"] + (self.wrong == "liar") for row in rows])

    def written(self, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return {"n": raw["n"] * (2 if self.wrong == "forger" else 1)}

    def decode(self, raw: Relation) -> exp.Select:
        query = raw.all()
        return query.where(column("n") > 1) if self.wrong == "picky" else query

    def rules(self, raw: Relation) -> Iterator[Rule]:
        if self.wrong == "vague":
            yield Rule("it is vague", exp.null())


def stored(folder: Path) -> list[int]:
    file = folder / "numbers.json"
    numbers: list[int] = json.loads(file.read_text()) if file.exists() else []
    return numbers


def batches(numbers: list[int]) -> Batches:
    table = pa.table({"n": numbers}, schema=SCHEMA)
    return Batches(SCHEMA, table.to_batches())


class NumbersKit(SourceConformance):
    plugin = Numbers
    parts = ([{"n": 1}, {"n": 2}], [{"n": 3}])

    def put(self, reading: Reading, rows: Any) -> None:
        folder = reading.resources.files
        numbers = stored(folder) + [row["n"] for row in rows]
        (folder / "numbers.json").write_text(json.dumps(numbers))


class Heap(Part):
    """Write numbers to a file, in one way that is right and in some that are not."""

    wrong: str = ""
    replaces: ClassVar = False

    @property
    def target(self) -> str:
        return "elsewhere" if self.wrong == "elsewhere" else "heap"

    def position(self, resources: Resources, writer: str) -> int:
        at = heap(resources.files)["positions"].get(self._name(writer), 0)
        return int(at) + (self.wrong == "ahead")

    def rules(self, resources: Resources, rows: Relation) -> Iterator[Rule]:
        yield from ()

    def columns(self, resources: Resources) -> dict[str, str]:
        return {}

    def effects(self, writing: Writing, rows: Relation) -> Effects:
        return Effects(0, 0)

    def stage(self, writing: Writing, rows: Relation, progress: Progress) -> "Staged":
        found = writing.engine.stream(exp.select(column("n")).from_(rows.table), "heap")
        table = pa.Table.from_batches(found.batches, found.schema)
        staged = Staged(self, writing.resources.files, table["n"].to_pylist(), progress)
        if self.wrong == "hasty":
            staged.commit({})
        return staged

    def _name(self, writer: str) -> str:
        return "all" if self.wrong == "mixed up" else writer


@dataclass
class Staged:
    sink: Heap
    folder: Path
    numbers: list[int]
    progress: Progress
    committed: bool = False

    @property
    def rows(self) -> int:
        return len(self.numbers)

    def commit(self, notes: Mapping[str, str]) -> int:
        wrong, name = self.sink.wrong, self.sink._name(self.progress.writer)
        there = heap(self.folder)
        if there["positions"].get(name, 0) != self.progress.before and wrong != "deaf":
            raise ConcurrentCommit("heap")
        self.committed = True
        if self.numbers or wrong != "lazy":
            there["numbers"] = (there["numbers"] or []) + self.numbers
            if wrong != "forgetful":
                there["positions"][name] = self.progress.after
        there["version"] += wrong != "stuck"
        (self.folder / "heap.json").write_text(json.dumps(there))
        return int(there["version"])

    def discard(self) -> None:
        if self.sink.wrong == "untidy":
            (self.folder / "left.parquet").touch()
        if self.committed and self.sink.wrong == "destructive":
            (self.folder / "heap.json").unlink()


def heap(folder: Path) -> dict[str, Any]:
    file = folder / "heap.json"
    nothing: dict[str, Any] = {"numbers": None, "positions": {}, "version": 0}
    return json.loads(file.read_text()) if file.exists() else nothing


class HeapKit(SinkConformance):
    plugin = Heap

    def numbers(self, resources: Resources) -> list[int] | None:
        found: list[int] | None = heap(resources.files)["numbers"]
        return found

    def target(self) -> str:
        return "heap"


BROKEN: list[tuple[type[Conformance], str, str, str]] = [
    (NumbersKit, "shifty", "the_same_rows_are_read_whenever_they_are_asked_for", "and then"),
    (NumbersKit, "greedy", "rows_in_two_halves_are_the_rows_in_one", "in two halves"),
    (NumbersKit, "stuck", "positions_only_grow", "the positions were 0, 1 and 1"),
    (NumbersKit, "restless", "nothing_new_leaves_the_position", "nothing is new after 3"),
    (NumbersKit, "liar", "rows_that_a_person_gives_are_decoded_like_those_read", "as a person"),
    (NumbersKit, "forger", "rows_that_are_recorded_are_decoded_like_those_read", "`written`"),
    (NumbersKit, "picky", "each_raw_row_becomes_one_row", "Relation.select"),
    (NumbersKit, "vague", "a_condition_is_never_null", "its condition is null"),
    (HeapKit, "ahead", "a_writer_begins_at_the_beginning", "is 1, not 0"),
    (HeapKit, "hasty", "rows_are_invisible_until_they_are_committed", "can be read"),
    (HeapKit, "forgetful", "rows_are_committed_together_with_the_position", "is 0, not 5"),
    (HeapKit, "stuck", "versions_grow_by_one_and_rows_add_up", "version 0 came after 0"),
    (HeapKit, "lazy", "a_commit_without_rows_moves_the_position_alone", "is 5, not 9"),
    (HeapKit, "untidy", "what_is_discarded_is_gone", "are still there"),
    (HeapKit, "destructive", "what_is_committed_cannot_be_discarded", "can be read"),
    (HeapKit, "deaf", "of_two_that_start_at_one_position_one_is_committed", "ConcurrentCommit"),
    (HeapKit, "mixed up", "each_writer_has_a_position_of_its_own", "ConcurrentCommit"),
    (HeapKit, "elsewhere", "a_sink_tells_people_where_its_rows_go", "elsewhere"),
]


class TestNumbers(NumbersKit):
    """What is right passes: a kit that fails everything would find every fault."""


class TestHeap(HeapKit):
    """Likewise."""


@pytest.mark.parametrize(("kit", "wrong", "claim", "says"), BROKEN, ids=lambda v: str(v)[:40])
def test_a_broken_plugin_is_told_what_is_wrong(
    kit: type[Conformance], wrong: str, claim: str, says: str, tmp_path: Path
) -> None:
    class Broken(kit):  # type: ignore[valid-type, misc]
        configuration: ClassVar = {"wrong": wrong}

    test = getattr(Broken(), f"test_{claim}")
    arguments = {"tmp_path": tmp_path} if "tmp_path" in inspect.signature(test).parameters else {}

    with pytest.raises((pytest.fail.Exception, ConcurrentCommit)) as failure:
        test(**arguments)

    assert says in f"{failure.typename}: {failure.value}"


@pytest.mark.parametrize("kind", [SourceConformance, SinkConformance])
def test_every_claim_has_a_plugin_that_breaks_it(kind: type[Conformance]) -> None:
    claims = {name for name in dir(kind) if name.startswith("test_")} - set(dir(Conformance))

    assert claims == {f"test_{claim}" for kit, _, claim, _ in BROKEN if issubclass(kit, kind)}
