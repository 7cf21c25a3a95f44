"""What the README shows works, and every plugin of the service is in it."""

import re
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from triptych.etl.application.pipeline import read_pipeline
from triptych.etl.application.plugins import CHECK, SINK, SOURCE, TRANSFORM, PluginKind
from triptych.etl.infrastructure.plugins import InstalledPlugins

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_pipeline_in_the_readme_can_be_run(tmp_path: Path) -> None:
    [example] = re.findall(r"^    version: 1\n(?:    .*\n)+", README, re.MULTILINE)
    file = tmp_path / "sales.yaml"
    file.write_text(textwrap.dedent(example))

    pipeline = read_pipeline(file, InstalledPlugins(), {})

    assert (pipeline.name, pipeline.sinks["main"].target) == ("sales", "sales")


@pytest.mark.parametrize("kind", [SOURCE, TRANSFORM, CHECK, SINK], ids=lambda kind: str(kind.noun))
def test_every_plugin_of_the_service_is_told(kind: PluginKind[object]) -> None:
    own = [
        entry.name
        for entry in entry_points(group=kind.group)
        if entry.value.startswith("triptych.etl.")
    ]

    assert own
    told = re.findall(rf"^\| {kind.noun} (`.*?`) \|", README, re.MULTILINE)
    names = re.findall("`([a-z_0-9]+)`", " ".join(told))
    assert sorted(names) == sorted(own)
