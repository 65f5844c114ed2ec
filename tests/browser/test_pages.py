"""Every page in a real browser; the `visit` fixture fails a test on console errors and outside requests."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from tests.addresses import MORE, every_page
from tests.browser.conftest import Visit
from tests.factories import HOSTILE

Open = Callable[..., Visit]


@pytest.fixture(scope="session")
def addresses(app: Flask) -> list[str]:
    return [address for address in [*every_page(app), *MORE] if address not in REFUSED]


REFUSED = ("/runs?days=x", "/nowhere")
"""The browser itself says that it did not get these."""


# What stands right of the screen and cannot be scrolled to.
CUT_OFF = """() => [...document.querySelectorAll("main *")]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, svg, pre"))
    .map(e => e.outerHTML.slice(0, 80))"""
GROUNDS = {"light": "rgb(246, 247, 249)", "dark": "rgb(14, 17, 22)"}


def test_every_page_is_sound_at_every_width_in_light_and_dark_and_fits_on_paper(
    visit: Open, addresses: list[str]
) -> None:
    tab = visit()
    for address in addresses:
        page = tab.go(address)
        for scheme, ground in GROUNDS.items():
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
        for width in (2560, 1400, 390, 320):
            tab.widen(width)
            expect(page.locator("h1")).to_be_visible()
            assert tab.overflow == 0, (address, width)
            assert page.evaluate(CUT_OFF) == [], (address, width)
        page.emulate_media(media="print")
        tab.widen(720)
        assert tab.overflow == 0, (address, "on paper")
        page.emulate_media(media="screen")


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_documentation_works_offline(visit: Open, path: str) -> None:
    page = visit().go(path)
    expect(page.get_by_text("List runs, newest first").last).to_be_visible()


def rows(page: Page) -> int:
    return page.locator("#rows tbody tr").count()


def test_a_filter_swaps_the_rows_and_pushes_the_address(visit: Open) -> None:
    page = visit().go("/runs")
    page.evaluate("window.stayed = true")
    before = rows(page)
    page.get_by_label("Warehouse").select_option("ledger")
    page.wait_for_url(re.compile(r"/runs\?warehouse=ledger&days=30$"))
    expect(page.locator("#rows h2")).to_contain_text("3 runs")
    assert rows(page) == 3 < before
    assert page.evaluate("window.stayed")


def test_back_brings_the_earlier_rows_and_filter(visit: Open) -> None:
    page = visit().go("/runs")
    before = rows(page)
    page.get_by_label("Status").select_option("failed")
    expect(page.locator("#rows h2")).to_contain_text("3 runs")
    page.go_back()
    expect(page.locator("#rows tbody tr")).to_have_count(before)
    expect(page.get_by_label("Status")).to_have_value("")


def test_typing_searches(visit: Open) -> None:
    page = visit().go("/tables")
    page.get_by_label("Part of a table's name").press_sequentially("ord")
    expect(page.locator("#tables tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=ord$"))


def test_pages_of_a_list_are_turned(visit: Open) -> None:
    page = visit().go("/runs")
    first = page.locator("#rows .choose").first.get_attribute("value")
    page.get_by_title("The runs after these").click()
    expect(page).to_have_url(re.compile(r"cursor="))
    expect(page.locator("#rows .choose").first).not_to_have_value(first or "")
    page.get_by_title("The runs before these").click()
    expect(page.locator("#rows .choose").first).to_have_value(first or "")


def test_the_overview_narrows_itself(visit: Open) -> None:
    page = visit().go("/")
    page.get_by_label("Warehouse").select_option("ledger")
    expect(page.locator(".runs tbody tr")).to_have_count(3)
    page.get_by_role("link", name="7 d").click()
    expect(page).to_have_url(re.compile(r"\?days=7&warehouse=ledger$"))
    expect(page.locator(".seg .on")).to_have_text("7 d")


def test_everything_works_without_scripts(visit: Open) -> None:
    page = visit(java_script_enabled=False).go("/runs")
    page.get_by_label("Status").select_option("failed")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#rows h2")).to_contain_text("3 runs")
    page.get_by_role("link", name="postings").first.click()
    expect(page.locator("pre").first).to_contain_text("statement timeout")
    expect(page.locator("button.theme")).to_be_hidden()


def test_the_theme_is_switched_and_remembered(visit: Open) -> None:
    page = visit(color_scheme="light").go("/")
    button = page.locator("button.theme")
    button.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(button).to_have_attribute("aria-label", "Theme: dark")
    button.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    button.click()
    expect(page.locator("html")).not_to_have_attribute("data-theme", re.compile("."))


def findings(page: Page) -> int:
    return page.locator(".finding").count()


def test_counters_states_and_search_narrow_the_findings_together(visit: Open) -> None:
    page = visit().go("/drift")
    page.evaluate("window.stayed = true")
    page.locator(".counter", has_text="High").click()
    page.wait_for_url(re.compile(r"/drift\?severity=high$"))
    page.locator(".states a", has_text="All").click()
    page.wait_for_url(re.compile(r"/drift\?severity=high&state=all$"))
    page.get_by_label("Part of a table's name").press_sequentially("web")
    page.wait_for_url(re.compile(r"/drift\?q=web&severity=high&state=all$"))
    expect(page.locator(".finding")).to_have_count(2)
    expect(page.get_by_label("Part of a table's name")).to_be_focused()
    page.go_back()
    expect(page.locator(".counter.on .label")).to_have_text("High")
    assert page.get_by_label("Part of a table's name").input_value() == ""


def test_what_is_chosen_is_dealt_with_in_place(visit: Open) -> None:
    page = visit().go("/drift?table=web_events")
    expect(page.locator(".bulk")).to_be_hidden()
    page.locator("[data-choose-all]").check()
    assert page.locator(".choose:checked").count() == findings(page) == 2
    page.evaluate("window.stayed = true")
    page.get_by_role("button", name="Snooze for 7 days").click()
    expect(page.get_by_role("status")).to_contain_text("2 findings snoozed.")
    expect(page.locator(".chip.snoozed")).to_have_count(2)
    expect(page.locator(".bulk")).to_be_hidden()
    assert page.evaluate("window.stayed") and page.url.endswith("/drift?table=web_events")


def test_findings_are_dealt_with_by_keyboard(visit: Open) -> None:
    page = visit().go("/drift?table=orders")
    links = page.locator(".finding .said-of a")
    page.keyboard.press("j")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator(".choose:checked")).to_have_count(1)
    page.keyboard.press("x")
    page.keyboard.press("j")
    about = links.nth(1).get_attribute("href") or ""
    page.keyboard.press("s")
    expect(page.get_by_role("status")).to_contain_text("1 finding snoozed.")
    expect(page.locator(".finding", has=page.locator(f'a[href="{about}"]')).locator(".chip.snoozed")).to_be_visible()
    assert page.evaluate("document.activeElement.closest('.finding') !== null")
    page.goto(page.url.split("/drift")[0] + about)
    page.keyboard.press("a")
    expect(page.locator(".chip.state.acknowledged")).to_be_visible()
    # As it was, for the others.
    page.get_by_role("button", name="Open again").click()
    expect(page.locator(".chip.state.open")).to_be_visible()


def test_tables_are_sorted_and_narrowed_in_place(visit: Open) -> None:
    page = visit().go("/tables")
    page.evaluate("window.stayed = true")
    page.get_by_role("link", name="Rows").click()
    page.wait_for_url(re.compile(r"/tables\?sort=-rows$"))
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Rows")
    page.get_by_label("State").select_option("drifting")
    page.wait_for_url(re.compile(r"\?(?=.*sort=-rows).*state=drifting"))
    assert page.evaluate("window.stayed")
    page.go_back()
    expect(page.get_by_label("State")).to_have_value("")
    page.go_back()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Table")


def test_the_overview_renews_itself_quietly(visit: Open) -> None:
    tab = visit()
    page = tab.go("/")
    answers: list[int] = []
    page.on("response", lambda answer: answers.append(answer.status) if "hx" in str(answer.request.headers) else None)
    page.evaluate("htmx.trigger('#figures', 'seen')")
    page.wait_for_timeout(400)
    page.evaluate("document.querySelector('#figures').marked = true; htmx.trigger('#figures', 'seen')")
    page.wait_for_timeout(400)
    assert page.evaluate("document.querySelector('#figures').marked"), "a 304 leaves what is there"
    page.locator("#figures .tile").first.focus()
    before = len(answers)
    page.evaluate("htmx.trigger('#figures', 'seen')")
    page.wait_for_timeout(200)
    assert len(answers) == before, "nothing is replaced under the focus"
    page.locator("h1").click()
    page.route("**/*", lambda route: route.abort())
    page.evaluate("document.activeElement.blur(); htmx.trigger('#figures', 'seen')")
    expect(page.locator("#stale-note")).to_contain_text("The server does not answer")
    expect(page.locator("#figures")).to_contain_text("Runs per day")
    # What the browser itself says of the request that failed is expected here.
    tab.troubles.clear()


def test_findings_are_dealt_with_without_scripts(visit: Open) -> None:
    page = visit(java_script_enabled=False).go("/drift?table=orders&state=open")
    before = findings(page)
    page.locator(".choose").first.check()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status")).to_contain_text("1 finding acknowledged.")
    assert findings(page) == before - 1 and page.url.endswith("/drift?table=orders&state=open")
    page.locator(".finding a").first.click()
    page.get_by_label("Assign to").fill("ann")
    page.get_by_role("button", name="Assign").click()
    expect(page.get_by_role("status")).to_contain_text("1 finding assigned.")


def test_the_keyboard_reaches_the_content_first(visit: Open) -> None:
    page = visit().go("/runs")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


def test_search_drops_down_and_is_used_by_keyboard_alone(visit: Open) -> None:
    page = visit().go("/runs")
    box = page.get_by_role("combobox", name="Find a table, column or run")
    page.keyboard.press("/")
    expect(box).to_be_focused()
    page.keyboard.type("ord")
    options = page.locator("#found [role=option]")
    expect(options.first).to_contain_text("orders")
    expect(box).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(box).to_have_attribute("aria-activedescendant", "found-table-1")
    page.keyboard.press("ArrowUp")
    expect(box).not_to_have_attribute("aria-activedescendant", re.compile("."))
    page.keyboard.press("Escape")
    expect(page.locator("#found")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/tables/orders\?"))


def test_a_slash_in_a_field_is_a_slash(visit: Open) -> None:
    page = visit().go("/tables")
    page.get_by_label("Part of a table's name").press_sequentially("a/")
    expect(page.get_by_label("Part of a table's name")).to_be_focused()
    assert page.get_by_label("Part of a table's name").input_value() == "a/"


def test_search_is_a_form_without_scripts(visit: Open) -> None:
    page = visit(java_script_enabled=False).go("/plan")
    page.get_by_label("Find a table, column or run").fill("ord")
    page.get_by_label("Find a table, column or run").press("Enter")
    expect(page.locator(".hits").first).to_contain_text("orders")


def test_hostile_names_do_nothing(visit: Open) -> None:
    tab = visit()
    tab.page.on("dialog", lambda dialog: tab.troubles.append(f"dialog: {dialog.message}"))
    page = tab.go("/tables")
    page.get_by_role("link", name=HOSTILE).click()
    expect(page.locator("h1")).to_have_text(HOSTILE)


def test_the_plan_page_looks_by_itself_and_opens_its_evidence(visit: Open) -> None:
    page = visit().go("/plan")
    expect(page.locator("#preview")).to_contain_text("No plan can be made")
    row = page.locator("#log tbody tr").filter(has_text="only some of its partitions changed").first
    row.locator("summary").click()
    expect(row.locator("dl")).to_contain_text("2026-11-20")
    page.locator("#savings summary").click()
    expect(page.locator("#savings tbody tr").first).to_be_visible()


def test_the_log_is_filtered_in_place(visit: Open) -> None:
    page = visit().go("/plan")
    page.evaluate("window.stayed = true")
    page.get_by_label("Reason").select_option("cost_cap")
    page.wait_for_url(re.compile(r"/plan\?reason=cost_cap&days=30$"))
    expect(page.locator("#log .chip").first).to_have_text("sampled")
    assert page.locator("#log tbody tr", has_text="only some").count() == 0 and page.evaluate("window.stayed")


def test_a_failed_request_of_htmx_is_told_in_place(visit: Open) -> None:
    tab = visit()
    page = tab.go("/runs")
    page.route(re.compile(r"status=failed"), lambda route: route.continue_(url=f"{tab.site}/runs?days=x"))
    page.get_by_label("Status").select_option("failed")
    expect(page.get_by_role("alert")).to_contain_text("days")
    # What the browser itself says of the 422 is expected here.
    tab.troubles.clear()
