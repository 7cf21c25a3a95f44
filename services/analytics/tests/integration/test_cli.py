"""The `analytics` command: what it does, and what it says when it cannot."""

import shutil
import socket
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import httpx2
import pyarrow as pa
import pytest

from triptych.lake.lake import Lake
from triptych.testing.processes import running

Ended = subprocess.CompletedProcess[str]
Command = Callable[..., Ended]

USAGE_ERROR, FAILURE = 2, 1


@pytest.fixture
def metrics_file(shop: Path, tmp_path: Path) -> Path:
    """The shop's metrics, as a copy that may be changed."""
    copy = tmp_path / "shop.yaml"
    shutil.copy(shop / "metrics" / "shop.yaml", copy)
    return copy


def assert_foreseen(ended: Ended, code: int, *words: str) -> None:
    """It ended with this code and one message with all of these words, and no traceback."""
    assert ended.returncode == code
    assert ended.stderr.startswith("analytics: error: ")
    assert "Traceback" not in ended.stdout + ended.stderr
    for word in words:
        assert word in ended.stderr


def test_a_server_answers_until_it_is_told_to_stop_and_exits_with_0(
    environment: dict[str, str], lake: Lake, commit: Callable[[Lake, str, pa.Table], int]
) -> None:
    rows = {
        "event_time": [datetime(2030, 1, 1, tzinfo=UTC)],
        "country": ["France"],
        "cancelled": [False],
        "revenue": [Decimal("3.50")],
    }
    commit(lake, "sales", pa.table(rows))

    # The machine's own time zone must not matter.
    with running("analytics", {**environment, "TZ": "America/New_York"}) as server:
        answer = httpx2.get(f"{server.url}/v1/metrics/revenue/query?grain=month", timeout=30)
        code = server.stop()

    [row] = answer.json()["rows"]
    assert (row["time"], row["revenue"]) == ("2030-01-01T00:00:00Z", "3.50")
    assert code == 0


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_missing_metrics_are_an_error_that_names_the_setting(
    analytics: Command, tmp_path: Path, name: str
) -> None:
    (tmp_path / "empty").mkdir()

    ended = analytics("serve", TRIPTYCH_METRICS_DIR=str(tmp_path / name))

    assert_foreseen(ended, USAGE_ERROR, str(tmp_path / name), "Set TRIPTYCH_METRICS_DIR")


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("table: refunds", "tabel: refunds", "19:5", "unknown key 'tabel': did you mean 'table'"),
        ("metrics:", "metric:", "2:1", "unknown key 'metric': did you mean 'metrics'"),
        (
            "function: count",
            "function: cuont",
            "14:16",
            "'function': input should be 'sum', 'count'",
        ),
        ("[country]", "[Country]", "22:5", "'Country': string should match"),
        ("function: sum, column: refunded", "function: sum", "21:5", "'sum' needs a column"),
    ],
)
def test_a_wrong_place_in_a_metrics_file_is_named_with_line_and_column(
    analytics: Command, metrics_file: Path, old: str, new: str, where: str, what: str
) -> None:
    text = metrics_file.read_text()
    assert text.count(old) == 1
    metrics_file.write_text(text.replace(old, new))

    ended = analytics("serve", TRIPTYCH_METRICS_DIR=str(metrics_file.parent))

    assert_foreseen(ended, USAGE_ERROR, f"{metrics_file}:{where}: ", what, "Mend the places")


def test_a_metrics_file_that_is_no_yaml_is_named_with_its_place(
    analytics: Command, tmp_path: Path
) -> None:
    (tmp_path / "shop.yaml").write_text("version: 1\nmetrics: [\n")

    ended = analytics("serve", TRIPTYCH_METRICS_DIR=str(tmp_path))

    assert_foreseen(ended, USAGE_ERROR, "shop.yaml:3:1: ")


def test_a_port_that_is_in_use_is_named_with_the_setting_to_change(analytics: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        ended = analytics("serve", TRIPTYCH_ANALYTICS__PORT=str(port))

    assert_foreseen(ended, FAILURE, f"127.0.0.1:{port}", "set TRIPTYCH_ANALYTICS__PORT")


def test_an_address_that_others_can_reach_is_refused(analytics: Command) -> None:
    ended = analytics("serve", TRIPTYCH_ANALYTICS__HOST="0.0.0.0")  # noqa: S104  # that is the test

    assert_foreseen(ended, USAGE_ERROR, "TRIPTYCH_ANALYTICS__HOST", "listen on 127.0.0.1")


def test_a_lake_that_cannot_be_is_an_error_that_says_what_to_check(
    analytics: Command, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    lake = str(tmp_path / "file" / "lake")

    ended = analytics("serve", TRIPTYCH_LAKE_URL=lake)

    assert_foreseen(ended, FAILURE, lake, "Check TRIPTYCH_LAKE_URL")


def test_every_wrong_setting_is_named_at_once(analytics: Command) -> None:
    ended = analytics("serve", TRIPTYCH_ANALYTICS__PORT="-1", TRIPTYCH_LOG__LEVEL="loud")

    assert_foreseen(ended, USAGE_ERROR, "TRIPTYCH_ANALYTICS__PORT: ", "TRIPTYCH_LOG__LEVEL: ")


@pytest.mark.parametrize("arguments", [["srve"], ["serve", "--port", "1"]])
def test_a_wrong_command_line_is_a_usage_error(analytics: Command, arguments: list[str]) -> None:
    ended = analytics(*arguments)

    assert ended.returncode == USAGE_ERROR
    assert "Usage: " in ended.stderr
    assert "Traceback" not in ended.stderr
