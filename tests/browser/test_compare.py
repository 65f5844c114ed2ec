"""Two runs are chosen and compared in a real browser."""

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Visit

Open = Callable[..., Visit]


def test_two_boxes_lead_to_a_comparison_that_can_be_changed_in_place(visit: Open) -> None:
    page = visit().go("/runs?table=orders&days=7")
    expect(page.locator(".bulk")).to_be_hidden()
    for box in page.locator(".choose").all()[:2]:
        box.check()
    page.get_by_role("button", name="Compare two of a table").click()
    page.wait_for_url(re.compile(r"/compare\?run=.*&run="))
    expect(page.locator("h1")).to_have_text("Compare orders")
    page.evaluate("window.stayed = true")
    before = page.locator("#choose-before")
    earlier = before.locator("option").last.get_attribute("value") or ""
    before.select_option(earlier)
    page.wait_for_url(re.compile(f"before={earlier}"))
    expect(page.locator("#choose-before")).to_have_value(earlier)
    assert page.evaluate("window.stayed")
    page.locator("#find-column").fill("email")
    expect(page.locator(".compared")).to_have_count(1)
    expect(page.locator(".compared .name")).to_have_text("email")


def test_it_works_without_scripts(visit: Open) -> None:
    page = visit(java_script_enabled=False).go("/tables/orders")
    page.get_by_role("link", name="Compare the newest two").click()
    later = page.get_by_label("After").input_value()
    page.locator("#choose-before").select_option(index=5)
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_label("After")).to_have_value(later)
    expect(page.locator(".sides tbody tr").first).to_contain_text("ago")


def test_a_metric_leads_to_its_meaning(visit: Open) -> None:
    page = visit().go("/runs?status=success")
    page.locator("#rows .name", has_text="orders").first.click()
    page.get_by_role("link", name="Distinct").first.click()
    expect(page).to_have_url(re.compile(r"/help#metric-distinct_count$"))
    expect(page.locator("#metric-distinct_count")).to_be_in_viewport()
