"""Plugins are found wherever they are installed."""

from pathlib import Path

import pytest

from triptych.etl.application.plugins import CHECK, ENGINE, SINK, SOURCE, TRANSFORM, PluginKind
from triptych.etl.infrastructure.plugins import BrokenPlugin, InstalledPlugins


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (SOURCE, {"events"}),
        (TRANSFORM, {"derive", "filter", "join", "python", "sql"}),
        (CHECK, {"not_null", "range", "references", "schema"}),
        (SINK, {"lake"}),
        (ENGINE, {"duckdb"}),
    ],
    ids=lambda value: value.noun if isinstance(value, PluginKind) else "",
)
def test_the_plugins_of_the_service_are_installed(
    kind: PluginKind[object], names: set[str]
) -> None:
    assert names <= set(InstalledPlugins().names(kind.group))
    for name in InstalledPlugins().names(kind.group):
        assert InstalledPlugins().load(kind.group, name).__doc__


def test_a_group_without_plugins_is_empty() -> None:
    assert InstalledPlugins().names("triptych.etl.tests.none") == []


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody else, with one good plugin and some that are not."""
    (tmp_path / "strange_plugins.py").write_text(
        "from pydantic import BaseModel\nclass Good(BaseModel): ...\nclass NoModel: ...\n"
    )
    (tmp_path / "strange_bug.py").write_text("raise RuntimeError('it is Monday')\n")
    info = tmp_path / "strange-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: strange\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[triptych.etl.tests.good]\ngood = strange_plugins:Good\n"
        "[triptych.etl.tests.missing]\ngone = strange_plugins:Gone\n"
        "[triptych.etl.tests.model]\nplain = strange_plugins:NoModel\n"
        "[triptych.etl.tests.bug]\nbuggy = strange_bug:Good\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("strangers")
def test_a_plugin_of_another_package_is_found() -> None:
    assert InstalledPlugins().load("triptych.etl.tests.good", "good").__name__ == "Good"
    [found] = InstalledPlugins().installed("triptych.etl.tests.good")
    assert (found.name, found.package, found.version) == ("good", "strange", "1.0")


@pytest.mark.usefixtures("strangers")
@pytest.mark.parametrize(
    ("group", "name", "why"),
    [
        ("missing", "gone", "'gone'"),
        ("model", "plain", "no pydantic model"),
        ("bug", "buggy", "RuntimeError: it is Monday"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_named_with_its_package(
    group: str, name: str, why: str
) -> None:
    with pytest.raises(BrokenPlugin, match="of strange: ") as refusal:
        InstalledPlugins().load(f"triptych.etl.tests.{group}", name)

    assert why in str(refusal.value)
