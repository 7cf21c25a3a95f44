"""Metrics from a folder of files."""

from pathlib import Path

import pytest

from triptych.analytics.infrastructure.metrics import NoMetrics, read_metrics
from triptych.core.documents import WrongDocument

FILE = """
version: 1
metrics:
  {name}:
    description: A number.
    table: sales
    time: event_time
    measure: {{ function: count }}
"""


def write(folder: Path, file: str, name: str) -> None:
    (folder / file).write_text(FILE.format(name=name))


def test_the_metrics_of_all_files_are_read(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "revenue")
    write(tmp_path, "b.yaml", "refunds")
    (tmp_path / "README.md").write_text("# Metrics")

    assert set(read_metrics(tmp_path).metrics) == {"revenue", "refunds"}


def test_the_shops_metrics_are_read(shop: Path) -> None:
    metrics = read_metrics(shop / "metrics").metrics

    assert metrics["revenue"].unit == "GBP"
    assert set(metrics) == {"revenue", "invoices", "refunds"}


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_a_folder_without_metrics_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()

    with pytest.raises(NoMetrics, match=name):
        read_metrics(tmp_path / name)


def test_a_metric_that_two_files_declare_is_named_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "revenue")
    write(tmp_path, "b.yaml", "revenue")

    with pytest.raises(WrongDocument, match=r"b\.yaml:4:3: another file declares 'revenue' too"):
        read_metrics(tmp_path)
