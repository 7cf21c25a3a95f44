"""What the documents show works, and every plugin of the service is in them."""

import re
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from triptych.etl.application.pipeline import read_pipeline
from triptych.etl.application.plugins import KINDS, PluginKind
from triptych.etl.infrastructure.plugins import InstalledPlugins

README = Path(__file__).parents[2] / "README.md"
PIPELINES = Path(__file__).parents[4] / "docs" / "pipelines.md"


@pytest.mark.parametrize("document", [README, PIPELINES], ids=lambda path: str(path.name))
def test_the_pipelines_in_a_document_are_valid(document: Path, tmp_path: Path) -> None:
    text = document.read_text(encoding="utf-8")
    examples = re.findall(r"^    version: 1\n(?:    (?!EOF).*\n)+", text, re.MULTILINE)

    assert examples
    for example in examples:
        file = tmp_path / "example.yaml"
        file.write_text(textwrap.dedent(example))
        pipeline = read_pipeline(file, InstalledPlugins(), {})
        assert pipeline.sinks["main"].target == pipeline.name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.noun))
def test_every_plugin_of_the_service_is_told(kind: PluginKind[object]) -> None:
    own = [
        entry.name
        for entry in entry_points(group=kind.group)
        if entry.value.startswith("triptych.etl.")
    ]

    assert own
    text = PIPELINES.read_text(encoding="utf-8")
    told = re.findall(rf"^\| {kind.noun} (`.*?`) \|", text, re.MULTILINE)
    names = re.findall("`([a-z_0-9]+)`", " ".join(told))
    assert sorted(names) == sorted(own)
