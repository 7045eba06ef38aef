"""The demo's film shop in a real browser: hub, two nodes and pages as the demo starts them, on a small world."""

from __future__ import annotations

import contextlib
import io
import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from browser import browser_page, running_chromium
from playwright.sync_api import Browser, Page
from typing_extensions import override

from edgewise.cli import main
from edgewise.clock import SystemClock
from hub.datasets import world
from hub.demo.run import Demo
from hub.demo.storefront import Storefront

# The first test also pays for learning, releasing and starting everything.
pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


class SmallDemo(Demo):
    """Learns in the process of the tests: a process for each command would import everything again."""

    @override
    def _edgewise(self, *words: str) -> bytes:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
            main([*words, "--data-dir", str(self._hub_dir), "--json"])
        assert not ended.value.code, words
        return said.getvalue().encode()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running shop."""
    history = world.simulate(3, visitors=120, films=200, events=7_000)
    folder = tmp_path_factory.mktemp("demo")
    demo = SmallDemo(folder, history, Storefront(0), SystemClock(), lambda _: contextlib.nullcontext(lambda _: None))
    with demo.serve(demo.learn_and_release()) as (addresses, _):
        yield addresses.storefront


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


FEW = 20
WATCHED = """
window.shifts = 0; window.violations = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({ type: "layout-shift", buffered: true });
addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""
PATIENT = """
addEventListener("DOMContentLoaded", () => Object.defineProperty(edgewise.options, "deadlineMs", {
  get: () => 900, set() {}, enumerable: true, configurable: true,
}));
"""
"""Beside the whole suite a decision may take longer than the tenth of a second that the shop gives it."""
BLOCKED = """
for (const area of ["localStorage", "sessionStorage"]) {
  Object.defineProperty(window, area, { get() { throw new DOMException("blocked", "SecurityError"); } });
}
Object.defineProperty(document, "cookie", { get: () => "", set() {} });
"""
"""As Chromium does it where a person blocks cookies: storage throws, and cookies vanish."""


@contextlib.contextmanager
def visit(chromium: Browser, address: str, *, width: int = 1_280, blocked: bool = False) -> Iterator[Page]:
    """A decided page; nothing in it has moved, was refused or went wrong when the visit ends."""
    with browser_page(chromium) as (page, wrong):
        page.set_viewport_size({"width": width, "height": 900})
        page.add_init_script(WATCHED)
        page.add_init_script(PATIENT)
        if blocked:
            page.add_init_script(BLOCKED)
        page.goto(address)
        page.wait_for_function("() => document.body.dataset.decision")
        yield page
        assert page.evaluate("window.shifts") == 0
        assert page.evaluate("window.violations") == []
        assert wrong == []


def films(page: Page) -> list[str]:
    return shown(page, "#list")


def order(page: Page) -> list[str]:
    return shown(page, "#hub")


def shown(page: Page, place: str) -> list[str]:
    return [str(item.get_attribute("data-edgewise-item")) for item in page.query_selector_all(f"{place} li")]


@contextlib.contextmanager
def next_decision(page: Page) -> Iterator[None]:
    """What is done inside makes the page ask again; waits for the answer to be drawn."""
    before = page.evaluate("document.body.dataset.decision")
    yield
    page.wait_for_function("before => document.body.dataset.decision !== before", arg=before)


def test_banner_list_and_reads_change_after_a_click_without_a_reload(shop: str, chromium: Browser) -> None:
    with visit(chromium, shop) as page:
        page.evaluate("window.sameDocument = true")
        first, reads = films(page), page.inner_text("[data-edgewise=recommended_reads]")
        assert len(set(first)) == 10
        assert "simulated" in page.inner_text("#world")
        assert "Winter film weeks" in page.inner_text(".banner")
        assert "Our offer of the season" in page.inner_text(".banner")

        with next_decision(page):
            page.click("#list li:nth-child(3) a")
        second = films(page)
        assert first[2] not in second, "what was watched leaves the list"
        assert second != [film for film in first if film != first[2]]
        assert "which you have been looking for" in page.inner_text(".banner"), "an offer that goes with it"
        assert page.inner_text("[data-edgewise=recommended_reads]") != reads
        assert page.inner_text("#trail").startswith("You clicked: ")
        assert page.inner_text("#bundle") == "version 1, READY"

        for _ in range(FEW):
            if page.query_selector(".banner code"):
                break
            with next_decision(page):  # a node that has just begun asks the hub for its share of codes first
                page.evaluate("() => void edgewise.refresh()")
        assert re.fullmatch(r"([0-9A-Z]{4}-)+[0-9A-Z]{4}", page.inner_text(".banner code")), "a code of one's own"

        with next_decision(page):
            page.click(".hero a")
        assert page.evaluate("window.sameDocument"), "no reload"


def test_the_dial_is_honoured_at_once(shop: str, chromium: Browser) -> None:
    with visit(chromium, shop) as page:
        with next_decision(page):
            page.click("#list li:nth-child(1) a")
        with next_decision(page):
            page.select_option("#dial", "0")
        assert page.inner_text("#arm") == "champion (OPTED_OUT)"
        assert page.inner_text("#trail") == "Nothing is read or kept while you want nothing personal."
        assert "Winter film weeks" in page.inner_text(".banner")
        nobody = films(page)
        with next_decision(page):
            page.click("#list li:nth-child(1) a")
        assert films(page) == nobody, "a click of nobody teaches nothing"


@pytest.mark.parametrize("path", ["/", "/reading"])
def test_a_shorter_fallback_moves_nothing(shop: str, chromium: Browser, path: str) -> None:
    """Nobody touched the page, so that each shift would count; `visit` looks at them."""
    with visit(chromium, f"{shop}{path}") as page:
        page.evaluate("Object.defineProperty(edgewise.options, 'deadlineMs', { value: 0.001, enumerable: true })")
        with next_decision(page):
            page.evaluate("edgewise.refresh()")
        assert "(FALLBACK_DEADLINE)" in page.inner_text("#arm")


def test_the_article_hub_follows_what_was_read_without_a_reload(shop: str, chromium: Browser) -> None:
    with visit(chromium, f"{shop}/reading") as page:
        page.evaluate("window.sameDocument = true")
        first = order(page)
        assert len(set(first)) == 12
        with next_decision(page):
            page.click("#hub li:nth-child(4) a")
        page.wait_for_selector("[data-article]")
        read, topic = first[3], page.get_attribute("[data-article]", "data-topic")
        assert page.get_attribute("[data-article]", "data-article") == read
        assert page.url == f"{shop}/reading/{read}"
        with next_decision(page):
            page.click(".article a[href='/reading']")
        page.wait_for_selector("#hub [data-edgewise-item]")
        second = order(page)
        assert second[-1] == read, "what was read goes to the end"
        assert page.get_attribute(f"#hub [data-edgewise-item='{second[0]}'] a", "class") == f"card topic-{topic}"
        assert f"Because you spent time on {topic}" in page.inner_text("#hub")

        with next_decision(page):
            page.go_back()
        page.wait_for_selector("[data-article]")
        assert page.evaluate("window.sameDocument"), "no reload, also on the way back"


@pytest.mark.parametrize("path", ["/", "/reading", "/reading/silence-costs-extra", "/offers/model-kits"])
@pytest.mark.parametrize("width", [1_280, 390])
def test_every_page_is_readable_by_everybody(shop: str, chromium: Browser, path: str, width: int) -> None:
    with visit(chromium, shop + path, width=width) as page:
        found = Axe().run(page).response["violations"]
        assert [entry["id"] for entry in found if entry["impact"] in {"serious", "critical"}] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out"


def test_a_visitor_without_cookies_and_storage_is_served_as_well(shop: str, chromium: Browser) -> None:
    with visit(chromium, shop, blocked=True) as page:
        first = films(page)
        with next_decision(page):
            page.click("#list li:nth-child(2) a")
        assert first[1] not in films(page)
        assert "which you have been looking for" in page.inner_text(".banner")


def test_both_nodes_answer_and_a_new_visitor_starts_anew(shop: str, chromium: Browser) -> None:
    with visit(chromium, shop) as page:
        with next_decision(page):
            page.click("#list li:nth-child(1) a")
        visitor = page.evaluate("localStorage.getItem('edgewise_id')")
        node = page.evaluate("edgewise.node")
        with page.expect_navigation():
            page.select_option("#node", index=1)
        page.wait_for_function("() => document.body.dataset.decision")
        assert page.evaluate("edgewise.node") != node
        assert len(films(page)) == 10
        with page.expect_navigation():
            page.click("#fresh")
        page.wait_for_function("() => document.body.dataset.decision")
        assert page.evaluate("localStorage.getItem('edgewise_id')") not in {None, visitor}
        assert page.inner_text("#trail") == "Nothing yet."


def test_a_node_that_is_gone_leaves_what_everybody_sees(shop: str, chromium: Browser) -> None:
    with browser_page(chromium) as (page, wrong):
        page.route("**/v1/decide", lambda route: route.abort())
        page.goto(f"{shop}/reading")
        page.wait_for_function("() => document.getElementById('trouble').textContent")
        assert "did not answer" in page.inner_text("#trouble")
        assert page.inner_text("#hub").startswith("PEOPLE"), "the most-read articles are in the document"
        assert len(wrong) >= 1


def test_what_has_no_address_is_not_there_and_all_links_lead_somewhere(shop: str) -> None:
    for path in ("/", "/reading", "/reading/silence-costs-extra", "/films/1", "/shop.css"):
        with urllib.request.urlopen(shop + path, timeout=10) as answer:
            text = answer.read().decode()
        assert "{{" not in text, path
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{shop}/reading/never-written", timeout=10)
