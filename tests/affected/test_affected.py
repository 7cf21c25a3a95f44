"""What a change selects: real commits in a clone, and just what they reach."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from triptych.tools.affected import Graph, Target, affected
from triptych.tools.affected_cli import Kind, Unit, matrix, units
from triptych.tools.git import GitFailed


@pytest.fixture
def commit(clone: Path) -> Iterator[Callable[[], str]]:
    """Commit what was changed; the revision before. All is undone at the end."""
    before = _run(clone, "git", "rev-parse", "HEAD").strip()

    def make() -> str:
        _run(clone, "git", "add", "--all")
        _run(clone, "git", "commit", "--quiet", "--no-verify", "--message", "a change")
        return before

    yield make
    _run(clone, "git", "reset", "--quiet", "--hard", before)


def found(clone: Path, since: str, graph: Graph | None = None) -> Mapping[Kind, set[str]]:
    """The names of what is affected, by kind."""
    selected: dict[Kind, set[str]] = {kind: set() for kind in Kind}
    for unit in units(affected(clone, since, graph)):
        selected[unit.kind].add(unit.name)
    return selected


def append(file: Path, text: str = "\n# changed\n") -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.write(text)


def test_a_change_in_one_service_selects_nothing_of_another(
    clone: Path, graph: Graph, commit: Callable[[], str]
) -> None:
    append(clone / "services/analytics/src/triptych/analytics/domain/limits.py")

    selected = found(clone, commit(), graph)

    assert selected[Kind.SERVICE] == {"analytics"}
    assert selected[Kind.LIBRARY] == set()
    services = {name.split("/")[1] for name in selected[Kind.TESTS] if name.startswith("services/")}
    assert services == {"analytics"}


def test_a_change_in_the_lake_selects_who_uses_it(
    clone: Path, graph: Graph, commit: Callable[[], str]
) -> None:
    append(clone / "libs/lake/src/triptych/lake/lake.py")

    selected = found(clone, commit(), graph)

    assert selected[Kind.SERVICE] == {"etl", "analytics"}
    assert selected[Kind.LIBRARY] == {"lake"}


def test_a_change_in_the_core_selects_everything(
    clone: Path, graph: Graph, commit: Callable[[], str]
) -> None:
    append(clone / "libs/core/src/triptych/core/errors.py")

    selected = found(clone, commit(), graph)

    assert selected[Kind.SERVICE] == {"ingestion", "etl", "analytics"}
    assert selected[Kind.LIBRARY] >= {"core", "database", "eventlog", "lake", "service"}
    assert {f"services/{name}/tests/unit" for name in selected[Kind.SERVICE]} <= selected[
        Kind.TESTS
    ]


def test_a_change_of_a_document_selects_nothing(
    clone: Path, graph: Graph, commit: Callable[[], str]
) -> None:
    append(clone / "docs/architecture.md")
    append(clone / "CONTRIBUTING.md")

    assert not any(found(clone, commit(), graph).values())


def test_a_change_of_an_example_selects_the_tests_that_read_it(
    clone: Path, graph: Graph, commit: Callable[[], str]
) -> None:
    append(clone / "examples/shop/metrics/shop.yaml")

    selected = found(clone, commit(), graph)

    assert selected[Kind.SERVICE] | selected[Kind.LIBRARY] == set()
    assert "services/analytics/tests/integration" in selected[Kind.TESTS]
    assert "tests/e2e" in selected[Kind.TESTS]
    assert "libs/core/tests" not in selected[Kind.TESTS]


@pytest.mark.parametrize(
    ("package", "services"),
    [
        ("redis", {"analytics"}),
        ("ijson", {"ingestion"}),
        ("deltalake", {"etl", "analytics"}),
        ("structlog", {"ingestion", "etl", "analytics"}),
        ("ruff", set()),
    ],
)
def test_another_version_of_a_package_selects_its_users_only(
    clone: Path, graph: Graph, commit: Callable[[], str], package: str, services: set[str]
) -> None:
    lock = clone / "uv.lock"
    text, number = re.subn(
        rf'(name = "{package}"\nversion = ")[^"]+',
        r"\g<1>99.0",
        lock.read_text(encoding="utf-8"),
    )
    lock.write_text(text, encoding="utf-8")

    selected = found(clone, commit(), graph)

    assert number == 1
    assert selected[Kind.SERVICE] == services


def test_another_version_for_some_pythons_counts(
    clone: Path, graph: Graph, commit: Callable[[], str]
) -> None:
    lock = clone / "uv.lock"
    before = lock.read_text(encoding="utf-8")
    assert before.count('name = "numpy"\nversion = ') > 1  # one for old Pythons, one for new
    text = re.sub(r'(name = "numpy"\nversion = ")[^"]+', r"\g<1>1.0", before, count=1)
    lock.write_text(text, encoding="utf-8")

    assert "etl" in found(clone, commit(), graph)[Kind.SERVICE]


@pytest.mark.parametrize(
    ("folder", "kind", "name"),
    [
        ("services/etl/tests/unit", Kind.TESTS, "services/etl/tests/unit"),
        ("libs/lake/src/triptych/lake", Kind.SERVICE, "analytics"),
    ],
)
def test_a_changed_build_file_selects_what_it_declares_and_all_that_needs_it(
    clone: Path, graph: Graph, commit: Callable[[], str], folder: str, kind: Kind, name: str
) -> None:
    append(clone / folder / "BUILD")

    selected = found(clone, commit(), graph)

    assert name in selected[kind]
    assert "ingestion" not in selected[Kind.SERVICE]


def test_a_new_file_counts_before_it_is_added(clone: Path, commit: Callable[[], str]) -> None:
    file = "libs/core/tests/test_new.py"
    graph = Graph([Target("libs/core/tests/test_new.py", "python_test", (file,), ())])
    (clone / file).write_text("", encoding="utf-8")

    assert [each.because for each in affected(clone, "HEAD", graph)] == [file]
    commit()  # so that it is removed again


def test_what_others_have_merged_meanwhile_is_not_ours(
    clone: Path, graph: Graph, commit: Callable[[], str]
) -> None:
    append(clone / "services/etl/src/triptych/etl/settings.py")
    before = commit()
    theirs = _run(clone, "git", "rev-parse", "HEAD").strip()
    _run(clone, "git", "reset", "--quiet", "--hard", before)
    append(clone / "services/analytics/src/triptych/analytics/settings.py")
    commit()

    assert found(clone, theirs, graph)[Kind.SERVICE] == {"analytics"}


def test_what_needed_a_file_that_is_gone_or_renamed_is_selected(
    clone: Path, commit: Callable[[], str]
) -> None:
    (clone / "services/etl/src/triptych/etl/domain/schedule.py").unlink()
    source = clone / "services/ingestion/src/triptych/ingestion/domain"
    shutil.move(source / "mapping.py", source / "mappings.py")

    selected = found(clone, commit())

    assert selected[Kind.SERVICE] == {"etl", "ingestion"}
    assert {"services/etl/tests/integration", "services/ingestion/tests/unit"} <= selected[
        Kind.TESTS
    ]


def test_pants_selects_the_same(clone: Path, graph: Graph, commit: Callable[[], str]) -> None:
    append(clone / "libs/eventlog/src/triptych/eventlog/log.py")
    before = commit()

    ours = {each.target.address for each in affected(clone, before, graph)}
    listed = _run(
        clone,
        "./pants",
        "--no-dynamic-ui",
        f"--changed-since={before}",
        "--changed-dependents=transitive",
        "list",
    )
    theirs = {line for line in listed.splitlines() if not _about_the_repository(line)}

    tests = {address for address in theirs if "/test_" in address}
    assert tests - {address for address in ours if "/test_" in address} == set()
    assert {a for a in theirs if a.endswith(":dist")} == {a for a in ours if a.endswith(":dist")}


def _about_the_repository(address: str) -> bool:
    """Whether it is selected by whatever changes."""
    return address.endswith("repository") or address.startswith("tests/architecture")


def test_each_selection_tells_its_way(clone: Path, graph: Graph, commit: Callable[[], str]) -> None:
    append(clone / "libs/lake/src/triptych/lake/disk.py")

    [etl] = [
        unit
        for unit in units(affected(clone, commit(), graph))
        if (unit.kind, unit.name) == (Kind.SERVICE, "etl")
    ]

    assert etl.because == "libs/lake/src/triptych/lake/disk.py"
    assert etl.way[0].startswith("libs/lake/src/triptych/lake/disk.py")
    assert etl.targets == ("services/etl:dist",)


def test_a_matrix_has_a_job_for_each_folder_of_tests() -> None:
    unit = Unit(Kind.TESTS, "libs/lake/tests", "a.py", (), ("libs/lake/tests/a.py", "b.py"))
    service = Unit(Kind.SERVICE, "etl", "a.py", (), ("services/etl:dist",))

    assert matrix([unit, service]) == {
        "include": [{"name": "libs/lake/tests", "targets": "libs/lake/tests/a.py b.py"}]
    }


def test_a_revision_that_is_not_there_is_named(clone: Path, graph: Graph) -> None:
    with pytest.raises(GitFailed, match="nowhere"):
        affected(clone, "nowhere", graph)


def _run(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
