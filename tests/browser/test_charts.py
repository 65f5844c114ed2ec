"""Charts in a real browser: they tell their values, zoom together, wear the theme, and are pictures without scripts."""

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit

Open = Callable[..., Visit]
ORDERS = "/tables/orders"
TOTAL = "/tables/orders/columns/total"


def point_at(page: Page, plot: Locator, share: float, down: float = 0.5) -> None:
    """Move to a place over the chart, as shares of its width and height."""
    plot.scroll_into_view_if_needed()
    box = plot.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] * down)


def colour_of_line(plot: Locator) -> str:
    """Of the line, as its pixels have it: the most frequent one that is neither see-through nor grey."""
    found: str = plot.evaluate(
        """plot => {
            const drawn = plot.querySelector("canvas"), counts = {};
            const copy = Object.assign(document.createElement("canvas"), {width: drawn.width, height: drawn.height});
            const context = copy.getContext("2d", {willReadFrequently: true});
            context.drawImage(drawn, 0, 0);
            const pixels = context.getImageData(0, 0, copy.width, copy.height).data;
            for (let i = 0; i < pixels.length; i += 4) {
                const [r, g, b, a] = pixels.slice(i, i + 4);
                if (a === 255 && b - r > 60) counts[[r, g, b]] = (counts[[r, g, b]] || 0) + 1;
            }
            return Object.entries(counts).sort((x, y) => y[1] - x[1])[0][0];
        }"""
    )
    return found


def test_a_chart_tells_its_values_and_shares_its_cursor(visit: Open) -> None:
    page = visit().go(TOTAL)
    charts = page.locator("figure[data-live]")
    assert charts.count() >= 3 and page.locator("figure svg.chart:visible").count() == 0
    point_at(page, charts.first.locator(".plot"), 0.5)
    moment = re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d", charts.first.locator(".readout").inner_text())
    assert moment is not None
    for i in range(charts.count()):
        expect(charts.nth(i).locator(".readout")).to_contain_text(moment[0])


def test_a_chart_writes_numbers_as_the_page_does(visit: Open) -> None:
    page = visit().go(TOTAL)
    charts = page.locator("figure[data-live]")
    for i in range(charts.count()):
        readout = charts.nth(i).locator(".readout")
        newest = readout.inner_text()
        charts.nth(i).locator(".plot").focus()
        page.keyboard.press("End")
        assert newest in readout.inner_text() != newest
        charts.nth(i).locator(".plot").blur()


def test_a_drag_zooms_all_charts_and_a_button_shows_all_again(visit: Open) -> None:
    page = visit().go(ORDERS)
    plots, resets = page.locator(".plot"), page.locator(".reset")
    expect(plots).to_have_count(2)
    expect(resets.first).to_be_hidden()
    point_at(page, plots.first, 0.3)
    page.mouse.down()
    point_at(page, plots.first, 0.6)
    page.mouse.up()
    expect(resets.nth(0)).to_be_visible()
    expect(resets.nth(1)).to_be_visible()
    resets.nth(1).click()
    expect(resets.nth(0)).to_be_hidden()
    expect(resets.nth(1)).to_be_hidden()


def test_the_chart_of_a_finding_tells_where_it_was_found_and_zooms(visit: Open) -> None:
    page = visit().go("/drift?state=all")
    page.locator(".finding:has(.course svg) a").first.click()
    plot, readout, reset = page.locator(".plot"), page.locator(".readout"), page.locator(".reset")
    expect(plot).to_have_count(1)
    marks = page.evaluate("JSON.parse(document.querySelector('figure').dataset.series).marks.map(mark => mark.i)")
    plot.focus()
    for _ in range(marks[0] + 1):
        page.keyboard.press("ArrowRight")
    expect(readout).to_contain_text("found, ")
    point_at(page, plot, 0.4)
    page.mouse.down()
    point_at(page, plot, 0.7)
    page.mouse.up()
    reset.click()
    expect(reset).to_be_hidden()


def test_without_scripts_the_chart_of_a_finding_is_a_picture_with_its_numbers(visit: Open) -> None:
    page = visit(java_script_enabled=False).go("/drift?state=all")
    page.locator(".finding:has(.course svg) a").first.click()
    expect(page.locator("figure svg.chart")).to_be_visible()
    page.get_by_text("The numbers of these runs").click()
    expect(page.locator(".numbers tbody tr .mark").first).to_be_visible()


def test_on_paper_charts_are_pictures_and_nothing_is_pressed(visit: Open) -> None:
    page = visit(color_scheme="dark").go(ORDERS)
    expect(page.locator("figure[data-live]")).to_have_count(2)
    page.emulate_media(media="print")
    assert page.locator("figure svg.chart:visible").count() == 2 and page.locator(".plot:visible").count() == 0
    assert page.locator("button:visible, input:visible, select:visible").count() == 0


def test_the_keyboard_reads_and_zooms(visit: Open) -> None:
    page = visit().go(ORDERS)
    plot, readout = page.locator(".plot").first, page.locator(".readout").first
    idle = readout.inner_text()
    plot.focus()
    page.keyboard.press("Home")
    first = readout.inner_text()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".readout").nth(1)).to_contain_text(readout.inner_text()[:16])
    assert idle != first != readout.inner_text() and readout.get_attribute("aria-live") == "polite"
    page.keyboard.press("End")
    assert readout.inner_text() not in (idle, first)
    page.keyboard.press("+")
    expect(page.locator(".reset").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".reset").first).to_be_hidden()
    page.keyboard.press("Tab")
    expect(readout).to_have_text(idle)
    assert readout.get_attribute("aria-live") == "off"


def test_a_chart_wears_the_theme_without_a_reload(visit: Open) -> None:
    page = visit(color_scheme="light").go(ORDERS)
    plot = page.locator(".plot").first
    assert colour_of_line(plot) == "47,95,208"
    page.locator("button.theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.wait_for_function("() => new Promise(done => requestAnimationFrame(() => done(true)))")
    assert colour_of_line(plot) == "122,162,255"


def test_charts_follow_the_width(visit: Open) -> None:
    page = visit().go(ORDERS)
    plot = page.locator(".plot").first
    for width in (1400, 390):
        page.set_viewport_size({"width": width, "height": 900})
        expect(plot.locator(".uplot")).to_have_css("width", f"{plot.evaluate('e => e.clientWidth')}px")


def test_without_scripts_charts_are_pictures_with_their_numbers(visit: Open) -> None:
    page = visit(java_script_enabled=False).go(TOTAL)
    assert page.locator("figure svg.chart:visible").count() == page.locator("figure").count() >= 3
    page.get_by_text("The numbers of these runs").click()
    expect(page.locator(".numbers tbody tr").first).to_be_visible()
    page.get_by_label("What the newest run is laid over").select_option("month")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"against=month"))
    page.locator(".seg").get_by_role("link", name="7 d").click()
    expect(page.locator(".seg .on")).to_have_text("7 d")


def test_a_range_swaps_the_charts_in_and_back_brings_the_earlier(visit: Open) -> None:
    page = visit().go(ORDERS)
    page.evaluate("window.stayed = true")
    before = page.locator("figure").first.get_attribute("data-series")
    page.locator(".seg").get_by_role("link", name="7 d").click()
    expect(page).to_have_url(re.compile(r"/tables/orders\?days=7$"))
    expect(page.locator(".seg .on")).to_have_text("7 d")
    expect(page.locator("figure[data-live] .plot canvas")).to_have_count(2)
    assert page.evaluate("window.stayed") and page.locator("figure").first.get_attribute("data-series") != before
    page.go_back()
    expect(page.locator(".seg .on")).to_have_text("30 d")
    expect(page.locator("figure[data-live] .plot canvas")).to_have_count(2)
    assert page.locator("figure").first.get_attribute("data-series") == before


def test_columns_are_sorted_in_place_and_lead_to_their_pages(visit: Open) -> None:
    page = visit().go(ORDERS)
    page.evaluate("window.stayed = true")
    page.get_by_label("Order", exact=True).select_option("nulls")
    page.wait_for_url(re.compile(r"/tables/orders\?sort=nulls$"))
    expect(page.locator(".columns tbody tr").first).to_contain_text("payload")
    assert page.evaluate("window.stayed")
    page.get_by_role("link", name="total", exact=True).click()
    expect(page.locator("h1")).to_have_text("total")
    page.locator('[rel="next"]').click()
    expect(page.locator("h1")).to_have_text("email")
