"""The engine that runs pipelines is a setting."""

import pytest

from triptych.core.config import WrongConfiguration
from triptych.etl.infrastructure.engines.duckdb import DuckDb
from triptych.etl.infrastructure.plugins import InstalledPlugins
from triptych.etl.settings import EtlSettings
from triptych.etl.wiring import engine_of


def test_the_engine_is_duckdb_if_nothing_else_is_said() -> None:
    assert engine_of(EtlSettings.load(), InstalledPlugins()) == DuckDb()


def test_an_engine_is_configured_by_variables_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_ENGINE__DUCKDB__MEMORY", "512MB")

    assert engine_of(EtlSettings.load(), InstalledPlugins()) == DuckDb(memory="512MB")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ('{"duckbd": {}}', "no engine 'duckbd': did you mean 'duckdb'"),
        ('{"duckdb": {"memory": "lots"}}', "TRIPTYCH_ENGINE__DUCKDB__MEMORY"),
    ],
)
def test_a_wrong_engine_is_an_error_that_says_what_to_mend(
    value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPTYCH_ENGINE", value)

    with pytest.raises(WrongConfiguration, match=told):
        engine_of(EtlSettings.load(), InstalledPlugins())
