"""The example page of `deploy/browser`, as it stands there, under its own policy; and what its README names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser import browser_page
from page_world import LiveNode, barriers, decided
from playwright.sync_api import Browser, Route

from edge.browser.script import CLIENT, source

FOLDER = Path(__file__).parents[2] / "deploy" / "browser"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
README = (FOLDER / "README.md").read_text()


@pytest.mark.process
@pytest.mark.timeout(60)
def test_the_example_fills_its_placements_under_its_policy(node: LiveNode, chromium: Browser) -> None:
    def serve(route: Route) -> None:
        file = FOLDER / route.request.url.rpartition("/")[2]
        route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])

    with browser_page(chromium) as (page, wrong):
        page.route(re.compile(re.escape(node.url) + r"/shop/example\."), serve)
        page.goto(f"{node.url}/shop/example.html")
        before = decided(page)
        assert decided(page, "home_list") == before
        assert page.input_value("#dial") == "3"
        page.select_option("#dial", "0")
        page.wait_for_selector(f"[data-edgewise-placement=home_hero]:not([data-edgewise-decision='{before}'])")
        assert page.evaluate("edgewise.dial()") == 0
        assert barriers(page) == []
        assert wrong == []


def test_the_readme_names_every_attribute_and_call_of_the_script_and_no_other() -> None:
    head = source(CLIENT).partition("*/")[0]
    for pattern in (
        r"\bdata-edgewise[\w-]*|\bdata-(?:node|key|consent|timeout|manual|debug)\b",
        r"\bedgewise\.(?!js)\w+",
    ):
        of_script = set(re.findall(pattern, head)) - {"data-edgewise-placement", "data-edgewise-item"}
        assert of_script
        assert set(re.findall(pattern, README)) == of_script
