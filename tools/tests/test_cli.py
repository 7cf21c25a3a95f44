"""The `triptych` command, as a newcomer meets it."""

import pytest
from typer.testing import CliRunner

from triptych.tools.cli import SETTINGS, ServiceName, cli


def test_every_command_says_what_it_does() -> None:
    result = CliRunner().invoke(cli, ["--help"])

    for command in ("demo", "test", "check", "format", "lock", "config", "bench", "chaos"):
        assert command in result.output


@pytest.mark.parametrize("service", list(ServiceName))
def test_every_setting_of_a_service_is_explained(service: ServiceName) -> None:
    result = CliRunner().invoke(cli, ["config", "explain", service.value])

    assert result.exit_code == 0
    assert "TRIPTYCH_LOG__LEVEL" in result.output
    assert all(name.upper() in result.output for name in SETTINGS[service].model_fields)


def test_a_secret_from_the_environment_is_named_and_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRIPTYCH_EVENTLOG_URL", "sqlite:///canary.db")

    result = CliRunner().invoke(cli, ["config", "explain", "ingestion"])

    assert "from: environment" in result.output
    assert "canary" not in result.output
