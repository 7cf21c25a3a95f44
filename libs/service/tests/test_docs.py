"""The page of documentation works where there is no internet."""

import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from triptych.service.app import create_app


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = create_app(title="Shelves", description="", version="1", routers=[], probes={})
    with TestClient(app) as client:
        yield client


def test_the_page_names_no_host(client: TestClient) -> None:
    page = client.get("/docs").text

    assert "Shelves" in page
    assert "//" not in page
    assert '"validatorUrl": null' in page


def test_everything_that_the_page_names_is_there(client: TestClient) -> None:
    page = client.get("/docs").text

    names = re.findall(r"""(?:src=|href=|url: )["']([^"']+)""", page)
    answers = {name: client.get(f"/{name}") for name in names}

    assert len(answers) == 4
    assert all(answer.status_code == 200 for answer in answers.values())
    assert "SwaggerUIBundle" in answers["docs/swagger-ui-bundle.js"].text
    assert answers["docs/swagger-ui.css"].headers["content-type"].startswith("text/css")
    assert answers["openapi.json"].json()["info"]["title"] == "Shelves"


@pytest.mark.parametrize("path", ["/", "/redoc", "/docs/oauth2-redirect", "/docs/__init__.py"])
def test_there_are_no_other_pages(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_pages_are_no_part_of_the_interface(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]

    assert paths.keys() == {"/livez", "/readyz", "/metrics"}
