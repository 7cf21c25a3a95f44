"""A bill of materials names what a service is made of, and nothing that only developers need."""

import json
from pathlib import Path

import pytest

from triptych.tools.repository import NoUv, uv
from triptych.tools.sbom import bill
from triptych.tools.workspace import packages

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(package.name for package in packages(ROOT) if package.is_service)


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    try:
        uv()
    except NoUv:
        pytest.skip("there is no uv here")
    return str(request.param)


def test_a_bill_names_what_a_service_is_made_of(service: str) -> None:
    document = json.loads(bill(ROOT, service))

    names = {each["name"] for each in document["components"]}
    [made_of] = [package.declared for package in packages(ROOT) if package.name == service]
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    assert document["metadata"]["component"]["name"] == f"triptych-{service}"
    assert {f"triptych-{name}" for name in made_of} <= names
    assert not names & {"pytest", "mypy", "ruff", "hypothesis"}
    assert all("version" in each for each in document["components"])
