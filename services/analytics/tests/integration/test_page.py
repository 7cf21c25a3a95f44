"""The dashboard, in a real browser: what it shows, by keyboard too, on three sizes of screen."""

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from triptych.lake.lake import Lake
from triptych.testing.processes import Service, run, running

START = datetime(2030, 1, 1, tzinfo=UTC)
DAYS = 60
ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    found = found or shutil.which("chromium", path="/usr/bin")
    if found is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        # Not in a sandbox of its own: root may not have one, and the page is ours.
        yield playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, commit: Callable[[Lake, str, pa.Table], int]
) -> Iterator[Service]:
    """Two months of sales; in the second, there is one pound more a day."""
    lake = Lake.open(str(tmp_path_factory.mktemp("lake")))
    hours = range(24 * DAYS)
    rows = {
        "event_time": pa.array(
            [START + timedelta(hours=n) for n in hours], pa.timestamp("us", "UTC")
        ),
        "country": [("France", "Spain", "<b>Italy</b>")[n % 3] for n in hours],
        "cancelled": [False] * len(hours),
        "revenue": pa.array(
            [Decimal(1 if n < 12 * DAYS else 2) for n in hours], pa.decimal128(18, 4)
        ),
    }
    rows["city"] = [("Paris", "Lyon", "Rome", "O'Town")[n % 4] for n in hours]
    commit(lake, "sales", pa.table(rows))
    metrics = tmp_path_factory.mktemp("metrics")
    shop = (ROOT / "examples" / "shop" / "metrics" / "shop.yaml").read_text()
    (metrics / "shop.yaml").write_text(
        shop.replace(
            "dimensions: [country, cancelled]",
            "dimensions: [country, city, cancelled]\n    hierarchies: {place: [country, city]}",
        )
    )
    settings = {
        "TRIPTYCH_LAKE_URL": str(lake.root),
        "TRIPTYCH_METRICS_DIR": str(metrics),
        "TRIPTYCH_ACCESS_URL": f"sqlite:///{lake.root}.db",
        "TRIPTYCH_LIMIT__BURST": "0",
    }
    with running("analytics", settings) as server:
        yield server


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    """The page as it is first opened; nothing may be said on its console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(service.url)
    settled(page)
    yield page
    context.close()
    # The browser tells of each answer that is an error; what it is, the page tells.
    assert [text for text in said if "status of 400" not in text] == []


def settled(page: Page) -> None:
    """Wait until the answer is there."""
    page.locator("#view[aria-busy='false']").wait_for(state="attached")


def test_it_opens_with_a_metric_over_all_time(page: Page) -> None:
    expect(page.get_by_role("heading", name="revenue")).to_be_visible()
    expect(
        page.get_by_role("img", name=re.compile("revenue over time, 60 buckets"))
    ).to_be_visible()
    expect(page.locator("#freshness")).to_contain_text("From sales, version 0")
    expect(page.locator("#freshness")).to_contain_text("data up to 2030-03-01T23:00:00Z")


def test_what_is_chosen_stands_in_the_address_and_comes_from_it(page: Page) -> None:
    page.get_by_label("Metric").select_option("revenue")
    settled(page)
    page.get_by_label("Range").select_option("30")
    page.get_by_label("Broken down by").select_option("country")
    page.get_by_label("Compare").check()
    settled(page)
    expect(page.locator("#total")).to_have_text("1,440 GBP")
    expect(page.locator("#change")).to_have_text("+100% against the period before")

    address = page.url
    page.goto("about:blank")
    page.goto(address)
    settled(page)

    expect(page.get_by_label("Broken down by")).to_have_value("country")
    expect(page.get_by_label("Compare")).to_be_checked()
    expect(page.locator("#change")).to_have_text("+100% against the period before")


def test_a_table_has_the_values_and_text_is_only_text(page: Page) -> None:
    page.get_by_label("Grain").select_option("")
    page.get_by_label("Broken down by").select_option("country")
    page.get_by_role("radio", name="Table").check()
    settled(page)

    rows = [row.inner_text().split("\t") for row in page.locator("tbody tr").all()]
    assert sorted(rows) == [["<b>Italy</b>", "720"], ["France", "720"], ["Spain", "720"]]


def test_bars_tell_values_to_who_cannot_see_them(page: Page) -> None:
    page.get_by_label("Grain").select_option("")
    page.get_by_label("Broken down by").select_option("country")
    page.get_by_label("Bars").check()
    settled(page)

    assert sorted(item.inner_text().split() for item in page.get_by_role("listitem").all()) == [
        ["<b>Italy</b>", "720"], ["France", "720"], ["Spain", "720"],
    ]  # fmt: skip


def test_a_wrong_filter_is_told_and_mended(page: Page) -> None:
    page.get_by_label("Other conditions").fill("contry = 'France'")
    page.get_by_label("Other conditions").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("did you mean 'country'?")

    page.get_by_label("Other conditions").fill("country = 'France'")
    page.get_by_label("Other conditions").press("Tab")
    settled(page)

    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#total")).to_have_text("720 GBP")


def test_filters_are_put_together_and_taken_away(page: Page) -> None:
    page.get_by_label("Dimension").select_option("city")
    expect(page.locator("#values option")).to_have_count(4)
    page.get_by_label("Value", exact=True).fill("O'Town")
    page.get_by_role("button", name="Add filter").click()
    settled(page)
    expect(page.locator("#total")).to_have_text("540 GBP")

    page.get_by_label("Dimension").select_option("country")
    page.get_by_label("Comparison").select_option("not")
    page.get_by_label("Value", exact=True).fill("Spain")
    page.get_by_label("Value", exact=True).press("Enter")
    settled(page)
    expect(page.locator("#total")).to_have_text("360 GBP")
    page.reload()
    settled(page)
    expect(page.locator("#total")).to_have_text("360 GBP")

    page.get_by_role("button", name="Remove the filter city = 'O''Town'").click()
    settled(page)
    expect(page.locator("#total")).to_have_text("1,440 GBP")
    expect(page.get_by_role("list", name="Filters").get_by_role("button")).to_have_count(1)


def test_a_hierarchy_is_gone_down_by_its_values(page: Page) -> None:
    page.get_by_label("Grain").select_option("")
    page.get_by_label("Broken down by").select_option("country")
    page.get_by_role("radio", name="Bars").check()
    settled(page)
    page.get_by_role("button", name="France", exact=True).click()
    settled(page)

    expect(page.get_by_label("Broken down by")).to_have_value("city")
    expect(page.get_by_role("button", name="Remove the filter country = 'France'")).to_be_visible()
    page.get_by_role("button", name="O'Town", exact=True).click()
    settled(page)

    expect(page.locator("#total")).to_have_text("180 GBP")
    expect(page.get_by_label("Broken down by")).to_have_value("")


def test_who_has_a_key_opens_the_page_with_it(
    browser: Browser, tmp_path: Path, lake: Lake, commit: Callable[[Lake, str, pa.Table], int]
) -> None:
    rows = {
        "event_time": [START],
        "country": ["France"],
        "cancelled": [False],
        "revenue": pa.array([Decimal(7)], pa.decimal128(18, 4)),
    }
    commit(lake, "sales", pa.table(rows))
    settings = {
        "TRIPTYCH_LAKE_URL": str(lake.root),
        "TRIPTYCH_METRICS_DIR": str(ROOT / "examples" / "shop" / "metrics"),
        "TRIPTYCH_ACCESS_URL": f"sqlite:///{tmp_path}/keys.db",
    }
    key = run("analytics", "keys", "create", "me", "--scope", "read", env=settings).stdout.strip()
    with running("analytics", settings) as server:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{server.url}/?metric=revenue&grain=")
        expect(page.get_by_label("API key")).to_be_focused()
        expect(page.get_by_text("Who has an API key")).to_be_visible()
        assert Axe().run(page).response["violations"] == []
        page.get_by_label("API key").fill("nonsense")
        page.get_by_label("API key").press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("A key is needed")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Open").click()
        expect(page.locator("#total")).to_have_text("7 GBP")
        with page.expect_download() as downloading:
            page.get_by_role("link", name="Export CSV").click()
        exported = Path(downloading.value.path()).read_text()
        page.reload()
        expect(page.locator("#total")).to_have_text("7 GBP")
        page.get_by_role("button", name="Forget the key").click()
        expect(page.get_by_label("API key")).to_be_visible()
        context.close()

    assert exported.splitlines() == ['"revenue"', "7.0000"]


def test_an_answer_without_rows_says_so(page: Page) -> None:
    page.get_by_label("Other conditions").fill("country = 'Peru'")
    page.get_by_label("Other conditions").press("Tab")

    expect(page.get_by_role("status")).to_have_text("There is nothing to show: nothing matches.")


def test_what_is_shown_can_be_taken_along(page: Page) -> None:
    page.get_by_label("Grain").select_option("month")
    settled(page)

    with page.expect_download() as downloading:
        page.get_by_role("link", name="Export CSV").click()

    lines = Path(downloading.value.path()).read_text().splitlines()
    assert lines[0] == '"time","revenue"'
    assert [float(line.split(",")[1]) for line in lines[1:]] == [768, 1344, 48]


def test_it_can_be_used_with_the_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the answer")).to_be_focused()
    for label in ("Theme", "Metric", "Range", "Grain", "Broken down by", "Dimension"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("combobox", name=label)).to_be_focused()
    page.keyboard.type("country")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("France")
    page.keyboard.press("Enter")
    settled(page)
    expect(page.locator("#total")).to_have_text("720 GBP")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    settled(page)
    expect(page.get_by_label("Bars")).to_be_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1280])
@pytest.mark.parametrize("view", ["line", "bar", "table"])
def test_it_is_accessible_and_fits_the_screen(
    browser: Browser, service: Service, width: int, scheme: Any, view: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    grain = "" if view == "bar" else "week"
    page.goto(f"{service.url}/?metric=revenue&grain={grain}&by=country&view={view}")
    settled(page)

    found = Axe().run(page).response["violations"]
    wide = page.evaluate("document.documentElement.scrollWidth")
    context.close()

    assert [(each["id"], [n["target"] for n in each["nodes"]]) for each in found] == []
    assert wide <= width


def test_the_page_may_load_nothing_from_elsewhere(page: Page, service: Service) -> None:
    answer = page.request.get(service.url)
    policy = answer.headers["content-security-policy"]
    text = answer.text()

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in re.sub(r"https?://www.w3.org", "", text)
    assert page.request.get(f"{service.url}/page/..%2fcli.py").status == 404


def test_the_charts_library_is_the_one_that_is_locked_and_brings_its_licence() -> None:
    folder = Path(str(files("triptych.analytics.entrypoints") / "page" / "vendor"))
    web = Path(__file__).parents[2] / "web"
    if not web.is_dir():
        pytest.skip("the lock is in the repository only")
    locked = orjson.loads((web / "package-lock.json").read_bytes())["packages"][
        "node_modules/uplot"
    ]

    assert f"(v{locked['version']})" in (folder / "uplot.js").read_text()[:100]
    assert "MIT License" in (folder / "uplot.LICENSE").read_text()
