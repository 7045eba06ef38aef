"""The demo's film shop in a real browser: hub, two nodes and page as the demo starts them, on a small world."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import pytest
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


def films(page: Page) -> list[str]:
    return [str(button.get_attribute("data-item")) for button in page.query_selector_all("#list button")]


@contextlib.contextmanager
def next_decision(page: Page) -> Iterator[None]:
    """What is done inside makes the page ask again; waits for the answer to be drawn."""
    before = page.evaluate("document.body.dataset.decision")
    yield
    page.wait_for_function("before => document.body.dataset.decision !== before", arg=before)


def test_a_click_changes_the_list_without_a_reload_and_the_dial_is_honoured(shop: str, chromium: Browser) -> None:
    with browser_page(chromium) as (page, wrong):
        page.goto(shop)
        page.wait_for_selector("#list li:nth-child(10)")
        page.evaluate("window.sameDocument = true")
        first = films(page)
        assert len(set(first)) == 10
        assert "simulated" in page.inner_text("#world")

        with next_decision(page):
            page.click("#list li:nth-child(3) button")
        second = films(page)
        assert first[2] not in second, "what was watched leaves the list"
        assert second != [film for film in first if film != first[2]]
        assert page.inner_text("#trail").startswith("You clicked: ")
        assert page.inner_text("#bundle") == "version 1, READY"

        with next_decision(page):
            page.click("#hero-click")
        assert page.evaluate("window.sameDocument"), "no reload"

        with next_decision(page):
            page.select_option("#dial", "0")
        assert page.inner_text("#arm") == "champion (OPTED_OUT)"
        assert page.inner_text("#trail") == "Nothing is read or kept while you want nothing personal."
        nobody = films(page)
        with next_decision(page):
            page.click("#list li:nth-child(1) button")
        assert films(page) == nobody, "a click of nobody teaches nothing"
        assert wrong == []


def test_both_nodes_answer_and_a_new_visitor_starts_anew(shop: str, chromium: Browser) -> None:
    with browser_page(chromium) as (page, wrong):
        page.goto(shop)
        page.wait_for_selector("#list li:nth-child(10)")
        visitor = page.evaluate("localStorage.getItem('shop-visitor')")
        with next_decision(page):
            page.click("#list li:nth-child(1) button")
        with next_decision(page):
            page.select_option("#node", index=1)
        assert len(films(page)) == 10
        with next_decision(page):
            page.click("#fresh")
        assert page.evaluate("localStorage.getItem('shop-visitor')") != visitor
        assert page.inner_text("#trail") == "Nothing yet."
        assert wrong == []


def test_a_node_that_is_gone_is_said_on_the_page(shop: str, chromium: Browser) -> None:
    with browser_page(chromium) as (page, wrong):
        page.goto(shop)
        page.wait_for_selector("#list li:nth-child(10)")
        page.route("**/v1/decide", lambda route: route.abort())
        page.click("#fresh")
        page.wait_for_selector("#trouble:not([hidden])")
        assert "did not answer" in page.inner_text("#trouble")
        assert len(films(page)) == 10, "what was shown stays"
        assert len(wrong) >= 1
