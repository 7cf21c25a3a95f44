"""Work out the next release: which packages changed, and how the version that all share has to move.

How it moves follows from the changelog (Keep a Changelog 1.1) and SemVer 2.0: what was removed or changed breaks
somebody, what was added is new, all else mends. Before 1.0.0 what breaks moves the minor number, what is new the patch.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from pathlib import Path
from typing import Final

from packaging.version import Version

from triptych.core.errors import Kind, TriptychError
from triptych.tools.git import git
from triptych.tools.workspace import Package, closure, packages

_HEADINGS: Final = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


class WrongChangelog(TriptychError):
    """The changelog is not as Keep a Changelog describes it."""

    kind = Kind.INVALID
    hint = "Mend CHANGELOG.md: https://keepachangelog.com/en/1.1.0/."


class Nothing(TriptychError):
    """There is nothing to release."""

    kind = Kind.CONFLICT
    hint = "Tell in CHANGELOG.md, under Unreleased, what users can notice."


class Step(IntEnum):
    """How a version moves."""

    PATCH = 1
    MINOR = 2
    MAJOR = 3


@dataclass(frozen=True, slots=True)
class Release:
    """What the next release is."""

    before: Version
    after: Version
    since: str
    """The tag of the last one, or the first commit."""
    changed: Mapping[str, int]
    """Of each package that changed, in how many files."""
    needing: Mapping[str, Sequence[str]]
    """Of each package that did not change, which changed ones it needs."""
    news: Mapping[str, int]
    """How many entries stand under each heading."""


def planned(root: Path) -> Release:
    """The next release.

    Raises:
        WrongChangelog: it cannot be read, or its newest release is not the packages' version.
        Nothing: no package changed, or the changelog does not say what did.
    """
    found = packages(root)
    before = version(found)
    news = unreleased((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    since = _last_tag(root)
    files = git(root, "diff", "--name-only", since).splitlines()
    changed = {
        package.name: number
        for package in found
        if (number := sum(f.startswith(f"{package.folder.relative_to(root)}/") for f in files))
    }
    if not changed or not news:
        raise Nothing(f"since {since}")
    return Release(
        before, moved(before, step(news)), since, changed, _needing(found, changed), news
    )


def version(found: Sequence[Package]) -> Version:
    """The version that all packages share.

    Raises:
        WrongChangelog: they do not share one.
    """
    versions = {package.version for package in found}
    if len(versions) != 1:
        raise WrongChangelog(f"the packages have different versions: {', '.join(sorted(versions))}")
    return Version(versions.pop())


def unreleased(text: str) -> Mapping[str, int]:
    """How many entries stand under each heading of what is not released yet.

    Raises:
        WrongChangelog: a heading is none of those that there are, or there is no such part.
    """
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    for part in parts:
        name = part.partition("\n")[0]
        if not re.fullmatch(r"\[?Unreleased\]?|\[?\d+\.\d+\.\d+\]? - \d{4}-\d\d-\d\d", name):
            raise WrongChangelog(
                f"'## {name}' is neither 'Unreleased' nor like '1.2.3 - 2030-01-31'"
            )
        for heading in re.findall(r"^### (.*)$", part, re.MULTILINE):
            if heading not in _HEADINGS:
                raise WrongChangelog(f"'### {heading}' is none of {', '.join(_HEADINGS)}")
    if not parts or "Unreleased" not in parts[0].partition("\n")[0]:
        raise WrongChangelog("it does not begin with '## Unreleased'")
    groups = re.split(r"^### ", parts[0], flags=re.MULTILINE)[1:]
    counted = {
        group.partition("\n")[0]: len(re.findall(r"^- ", group, re.MULTILINE)) for group in groups
    }
    return {heading: number for heading, number in counted.items() if number}


def step(news: Mapping[str, int]) -> Step:
    """How a version moves for these news."""
    if news.keys() & {"Changed", "Removed"}:
        return Step.MAJOR
    return Step.MINOR if news.keys() & {"Added", "Deprecated"} else Step.PATCH


def moved(before: Version, by: Step) -> Version:
    """The next version (SemVer 2.0, and its paragraph 4 for what is before 1.0.0).

    >>> str(moved(Version("1.2.3"), Step.MINOR)), str(moved(Version("0.2.3"), Step.MAJOR))
    ('1.3.0', '0.3.0')
    """
    major, minor, patch = before.major, before.minor, before.micro
    match Step(max(by - 1, Step.PATCH)) if major == 0 else by:
        case Step.MAJOR:
            return Version(f"{major + 1}.0.0")
        case Step.MINOR:
            return Version(f"{major}.{minor + 1}.0")
        case _:
            return Version(f"{major}.{minor}.{patch + 1}")


def write(root: Path, release: Release, today: date) -> Iterator[Path]:
    """Put the new version into every package, image and the changelog; the files that changed."""
    for package in packages(root):
        for name, old in (
            ("pyproject.toml", '\nversion = "{}"\n'),
            ("Dockerfile", " VERSION={}\n"),
        ):
            file = package.folder / name
            if file.exists():
                text = file.read_text(encoding="utf-8")
                text = text.replace(old.format(release.before), old.format(release.after), 1)
                file.write_text(text, encoding="utf-8")
                yield file
    file = root / "CHANGELOG.md"
    text = file.read_text(encoding="utf-8")
    heading = f"## Unreleased\n\n## {release.after} - {today.isoformat()}"
    file.write_text(
        re.sub(r"^## \[?Unreleased\]?$", heading, text, count=1, flags=re.MULTILINE),
        encoding="utf-8",
    )
    yield file


def _needing(found: Sequence[Package], changed: Mapping[str, int]) -> Mapping[str, Sequence[str]]:
    needing = {
        package.name: sorted(closure(found, package.name) & changed.keys())
        for package in found
        if package.name not in changed
    }
    return {name: others for name, others in needing.items() if others}


def _last_tag(root: Path) -> str:
    tags = git(root, "tag", "--list", "v*", "--merged", "HEAD", "--sort=-version:refname").split()
    return tags[0] if tags else git(root, "rev-list", "--max-parents=0", "HEAD").split()[0]
