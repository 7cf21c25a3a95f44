"""The services may share one database, whichever of them comes first; a key is then a key for all."""

from itertools import permutations
from pathlib import Path

import orjson
import pytest

from triptych.testing.processes import run

SERVICES = ("ingestion", "etl", "analytics")


@pytest.mark.parametrize("order", list(permutations(SERVICES))[::2], ids="-".join)
def test_one_database_serves_all_services(tmp_path: Path, order: tuple[str, ...]) -> None:
    url = f"sqlite:///{tmp_path}/triptych.db"
    names = ("TRIPTYCH_EVENTLOG_URL", "TRIPTYCH_STATE_URL", "TRIPTYCH_ACCESS_URL")
    settings = {**dict.fromkeys(names, url), "TRIPTYCH_LAKE_URL": str(tmp_path / "lake")}

    made = run(order[0], "keys", "create", "a team", "--scope", "read", env=settings)
    listed = [run(service, "keys", "list", "--json", env=settings) for service in order]

    assert made.returncode == 0, made.stderr
    assert [orjson.loads(told.stdout)["name"] for told in listed] == ["a team"] * 3
