"""report.html in headless Chromium: drawn, linked, quiet, and fitting a narrow screen."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By
from verdict_folder import healthy

from twin.report.html import write_report
from twin.verdict.judge import judge

pytestmark = [pytest.mark.external]
SCALES = "return report.plots.map(p => [p.scales.x.min, p.scales.x.max])"
INK = """return report.plots.map(p => {
  const d = p.ctx.getImageData(0, 0, p.ctx.canvas.width, p.ctx.canvas.height).data;
  let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 200; return n; })"""


@pytest.fixture
def browser() -> Iterator[Chrome]:
    """A headless Chromium; its absence is a failure, not a skip."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert program, "chromium is missing: run .ci/tools"
    assert driver, "chromedriver is missing: run .ci/tools"
    options = ChromeOptions()
    options.binary_location = program
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = Chrome(options, ChromeService(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


@pytest.fixture
def page(browser: Chrome, tmp_path: Path) -> Chrome:
    """The report of a healthy run, opened."""
    run_dir = healthy(200).write(tmp_path)
    browser.set_window_size(1280, 900)
    browser.get(write_report(run_dir, judge(run_dir)).as_uri())
    return browser


def within(condition: Callable[[], object], deadline_s: float = 30.0) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def test_every_chart_is_drawn_without_a_word_or_a_request(page: Chrome) -> None:
    """Each plot has ink, the console is silent, and nothing but the file was asked for."""
    figures = len(page.find_elements(By.TAG_NAME, "figure"))
    within(lambda: page.execute_script("return report.plots.length") == figures)
    within(lambda: all(ink > 500 for ink in page.execute_script(INK)))
    assert figures >= 5
    assert not [line for line in page.get_log("browser") if line["level"] != "DEBUG"]
    asked = [
        line["message"]
        for line in page.get_log("performance")
        if "Network.requestWillBeSent" in line["message"] and '"url":"file:' not in line["message"]
    ]
    assert not asked


def test_the_keyboard_zooms_all_charts_alike(page: Chrome) -> None:
    """Enter on the zoom button halves the span of every chart, and All shows the run again."""
    before = page.execute_script(SCALES)
    page.find_element(By.CSS_SELECTOR, "[data-zoom=in]").send_keys(Keys.ENTER)
    within(lambda: page.execute_script(SCALES) != before)
    scales = page.execute_script(SCALES)
    assert len({tuple(scale) for scale in scales}) == 1
    low, high = scales[0]
    assert high - low == pytest.approx((before[0][1] - before[0][0]) / 2)
    page.find_element(By.CSS_SELECTOR, "[data-zoom=reset]").send_keys(Keys.ENTER)
    within(lambda: page.execute_script(SCALES) == before)


def test_the_mouse_shows_one_moment_and_drags_one_span_in_all_charts(page: Chrome) -> None:
    """Hovering over a chart puts the cursor of each at its moment; dragging zooms them alike."""
    over = page.find_element(By.CSS_SELECTOR, ".u-over")
    moments = "return report.plots.map(p => p.cursor.idx)"
    ActionChains(page).move_to_element_with_offset(over, 60, 0).perform()
    within(lambda: page.execute_script(moments)[0] is not None)
    within(lambda: len(set(page.execute_script(moments))) == 1)
    before = page.execute_script(SCALES)
    ActionChains(page).click_and_hold(over).move_by_offset(150, 0).release().perform()
    within(lambda: page.execute_script(SCALES) != before)
    within(lambda: len({tuple(scale) for scale in page.execute_script(SCALES)}) == 1)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_no_wider_than_the_screen(page: Chrome, width: int) -> None:
    """Nothing has to be scrolled sideways, on a phone either."""
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    wide = "return document.documentElement.scrollWidth <= window.innerWidth"
    within(lambda: page.execute_script(wide))
    assert page.execute_script("return window.innerWidth") == width


def test_dark_mode_changes_paper_and_ink(page: Chrome) -> None:
    """The page follows the reader's colour scheme, plots included."""
    paper = "return getComputedStyle(document.body).backgroundColor"
    seen = []
    for scheme in ("light", "dark"):
        page.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        seen.append(page.execute_script(paper))
    assert seen[0] != seen[1]


def test_what_was_drawn_in_dark_mode_prints_on_paper(page: Chrome) -> None:
    """For paper the charts are drawn again, in the colours of light and no wider than a page."""
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    look = "return report.plots.map(p => [p.width, p.axes[0].stroke(), p.axes[0].grid.stroke()])"
    before = page.execute_script(look)
    page.execute_script(
        """
      addEventListener('beforeprint', () => { globalThis.printed = (() => {LOOK})(); });
    """.replace("LOOK", look)
    )
    page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    printed = page.execute_script("return printed")
    assert {(stroke, rule) for _, stroke, rule in printed} == {("#444", "#bbb")}
    assert max(width for width, _, _ in printed) <= 650
    within(lambda: page.execute_script(look) == before)
