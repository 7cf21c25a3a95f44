"""What the README shows works."""

import re
import textwrap
from pathlib import Path

from triptych.analytics.infrastructure.metrics import read_metrics

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_metrics_in_the_readme_can_be_asked_for(tmp_path: Path, shop: Path) -> None:
    [example] = re.findall(r"^    version: 1\n(?:    .*\n)+", README, re.MULTILINE)
    (tmp_path / "shop.yaml").write_text(textwrap.dedent(example))

    metrics = read_metrics(tmp_path).metrics

    assert metrics["revenue"] == read_metrics(shop / "metrics").metrics["revenue"]
