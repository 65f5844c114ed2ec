"""Every page by the rules of axe-core, in light and dark."""

from collections.abc import Callable
from pathlib import Path

from flask import Flask
from playwright.sync_api import Page

from tests.addresses import one_of_each
from tests.browser.conftest import Visit

AXE = next((Path(__file__).parent / "vendor").glob("axe-core@*/axe.min.js")).read_text()
RUN = """async rules => {
    const found = await axe.run(document, { resultTypes: ["violations"], ...(rules && { runOnly: rules }) });
    const tell = rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 160)} ${node.failureSummary}`);
    return found.violations.flatMap(tell);
}"""


def violations(page: Page, rules: list[str] | None = None) -> list[str]:
    found: list[str] = page.evaluate(RUN, rules)
    return found


def test_no_page_breaks_a_rule(visit: Callable[..., Visit], app: Flask) -> None:
    tab, found = visit(reduced_motion="reduce"), dict[str, list[str]]()
    for address in one_of_each(app):
        page = tab.go(address)
        page.evaluate(AXE)
        page.emulate_media(color_scheme="light")
        found[f"{address} in light"] = violations(page)
        # Only colours differ.
        page.emulate_media(color_scheme="dark")
        found[f"{address} in dark"] = violations(page, ["color-contrast"])
    tab.troubles[:] = [each for each in tab.troubles if "status of 4" not in each]
    broken = [f"{address}: {each}" for address, told in found.items() for each in told]
    assert not broken, "\n".join(broken)


def test_axe_sees_what_is_wrong(visit: Callable[..., Visit]) -> None:
    page = visit().go("/help")
    page.evaluate(AXE)
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=\"/static/icon.svg\">')")
    assert [each.partition(":")[0] for each in violations(page)] == ["image-alt"]
