"""The example that `etl plugins show` prints can be copied into a pipeline."""

import pytest
from ruamel.yaml import YAML

from triptych.etl.application.plugins import KINDS, PluginKind
from triptych.etl.entrypoints.plugins_cli import _valid, _yaml, example
from triptych.etl.infrastructure.plugins import InstalledPlugins

PLUGINS = [(kind, name) for kind in KINDS for name in InstalledPlugins().names(kind.group)]


@pytest.mark.parametrize(("kind", "name"), PLUGINS, ids=lambda value: getattr(value, "noun", value))
def test_the_example_of_a_plugin_is_valid(kind: PluginKind[object], name: str) -> None:
    if name == "python":
        pytest.skip("its example names a function, and no package has registered one here")
    model = InstalledPlugins().load(kind.group, name)

    written = YAML(typ="safe").load(_yaml(name, example(model)))

    assert _valid(model, written[name] or {}), written
