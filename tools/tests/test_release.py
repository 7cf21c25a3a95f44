"""The next version follows from what changed and from what the changelog tells of it."""

import doctest
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from packaging.version import Version

from triptych.tools import release
from triptych.tools.release import Nothing, Step, WrongChangelog, moved, planned, step, unreleased

CHANGELOG = (
    "# Changelog\n\n## Unreleased\n\n### {heading}\n\n- something\n\n## 1.2.3 - 2030-01-31\n"
)


@pytest.fixture
def repository(tmp_path: Path) -> Callable[..., Path]:
    """A repository of a library and a service, released as 1.2.3."""
    for room, name, needs in (("libs", "lake", ""), ("services", "etl", '"triptych-lake"')):
        folder = tmp_path / room / name
        (folder / "src" / "triptych" / name).mkdir(parents=True)
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "triptych-{name}"\nversion = "1.2.3"\ndescription = ""\ndependencies = [{needs}]\n'
        )
    (tmp_path / "tools" / "src" / "triptych" / "tools").mkdir(parents=True)
    (tmp_path / "tools" / "pyproject.toml").write_text(
        '[project]\nname = "triptych-tools"\nversion = "1.2.3"\ndescription = ""\ndependencies = []\n'
    )
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG.format(heading="Fixed"))
    for command in (
        ["init", "--quiet"],
        ["config", "user.name", "a test"],
        ["config", "user.email", "test@example.org"],
        ["add", "--all"],
        ["commit", "--quiet", "--no-verify", "--message", "1.2.3"],
        ["tag", "v1.2.3"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)

    def change(heading: str = "Fixed") -> Path:
        project = tmp_path / "libs" / "lake" / "pyproject.toml"
        project.write_text(f"{project.read_text()}# changed\n")
        (tmp_path / "CHANGELOG.md").write_text(CHANGELOG.format(heading=heading))
        return tmp_path

    return change


@pytest.mark.parametrize(
    ("heading", "after"),
    [("Fixed", "1.2.4"), ("Security", "1.2.4"), ("Added", "1.3.0"), ("Removed", "2.0.0")],
)
def test_the_version_moves_as_the_changelog_says(
    repository: Callable[..., Path], heading: str, after: str
) -> None:
    found = planned(repository(heading))

    assert (str(found.before), str(found.after), found.since) == ("1.2.3", after, "v1.2.3")
    assert (found.changed, found.needing) == ({"lake": 1}, {"etl": ["lake"]})


def test_without_a_change_there_is_nothing_to_release(repository: Callable[..., Path]) -> None:
    root = repository()
    subprocess.run(["git", "checkout", "--quiet", "."], cwd=root, check=True)

    with pytest.raises(Nothing, match=r"v1\.2\.3"):
        planned(root)


def test_a_release_is_written_into_every_package_and_the_changelog(
    repository: Callable[..., Path],
) -> None:
    root = repository("Added")

    files = list(release.write(root, planned(root), date(2030, 2, 1)))

    assert len(files) == 4
    assert all('version = "1.3.0"' in file.read_text() for file in files[:-1])
    assert "## Unreleased\n\n## 1.3.0 - 2030-02-01\n" in files[-1].read_text()


@pytest.mark.parametrize(
    ("news", "by"),
    [
        ({"Fixed": 3}, Step.PATCH),
        ({"Fixed": 1, "Added": 1}, Step.MINOR),
        ({"Deprecated": 1}, Step.MINOR),
        ({"Added": 1, "Changed": 1}, Step.MAJOR),
    ],
)
def test_the_greatest_of_the_news_counts(news: dict[str, int], by: Step) -> None:
    assert step(news) is by


@pytest.mark.parametrize(
    ("by", "after"), [(Step.PATCH, "0.4.3"), (Step.MINOR, "0.4.3"), (Step.MAJOR, "0.5.0")]
)
def test_before_the_first_release_what_breaks_moves_the_minor_number(by: Step, after: str) -> None:
    assert moved(Version("0.4.2"), by) == Version(after)


@pytest.mark.parametrize(
    "text",
    ["# Changelog", "## 1.0.0 - 2030-01-31", "## Unreleased\n\n### News\n", "## Soon\n"],
)
def test_a_changelog_that_nobody_could_read_is_refused(text: str) -> None:
    with pytest.raises(WrongChangelog):
        unreleased(text)


def test_the_examples_are_true() -> None:
    assert doctest.testmod(release).failed == 0
