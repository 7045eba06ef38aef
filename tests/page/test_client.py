"""edgewise.js in Chromium: it fills, sees and tells; without storage, without a node, in pages that never reload."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from page_world import HERO, LIST, OWN, LiveNode, barriers, decided, decided_anew, opened, shown
from playwright.sync_api import Browser, Page, Request
from processes import until

from edgewise.records import EventRecord

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

NO_STORAGE = """
  for (const area of ["localStorage", "sessionStorage"]) {
    Object.defineProperty(window, area, { get() { throw new DOMException("denied", "SecurityError"); } });
  }
"""
STAYS = "addEventListener('click', event => event.preventDefault())"
"""Links lead nowhere, as in pages that draw themselves anew."""


def questions(page: Page) -> list[dict[str, Any]]:
    """What the page asks from now on."""
    asked: list[dict[str, Any]] = []

    def listen(request: Request) -> None:
        if request.url.endswith("/v1/decide"):
            asked.append(json.loads(request.post_data or "{}"))

    page.on("request", listen)
    return asked


def told_of(node: LiveNode, decision: str) -> Callable[[], list[EventRecord]]:
    """What was told so far of one decision."""
    return lambda: [event for event in node.all_events() if event.decision_id == decision]


def stored(page: Page) -> dict[str, str]:
    """What the page has kept: local storage, then that of the session."""
    found: dict[str, str] = page.evaluate("({ ...sessionStorage, ...localStorage })")
    return found


# --- filling
def test_what_is_filled_after_the_page_was_painted_shifts_nothing(node: LiveNode, chromium: Browser) -> None:
    with opened(chromium, node, HERO + LIST, script="data-manual") as (page, wrong):
        page.evaluate("new Promise(seen => requestAnimationFrame(() => requestAnimationFrame(seen)))")
        page.evaluate("edgewise.refresh()")
        assert len(shown(page, "home_list")) == 10
        page.evaluate("new Promise(seen => requestAnimationFrame(() => requestAnimationFrame(seen)))")
        assert page.evaluate("performance.getEntriesByType('paint').length") > 0
        assert page.evaluate("window.shifts") == 0
        assert wrong == []


def test_all_placements_are_filled_by_one_question_without_a_shift_or_a_violation(
    node: LiveNode, chromium: Browser
) -> None:
    with opened(chromium, node, HERO + LIST + '<div data-edgewise="next_release"><p>Soon</p></div>') as (page, wrong):
        assert decided(page) == decided(page, "home_list")
        assert (len(shown(page)), len(shown(page, "home_list"))) == (1, 10)
        assert page.evaluate("performance.getEntriesByName(`${location.origin}/v1/decide`).length") == 1
        assert page.inner_text("[data-edgewise=next_release][data-edgewise-state=failed]") == "Soon"
        assert page.evaluate("getComputedStyle(document.querySelector('[data-edgewise]')).visibility") == "visible"
        assert page.evaluate("window.shifts") == 0
        assert barriers(page) == []
        assert wrong == []


def test_a_placement_that_the_page_fills_itself_keeps_its_own_and_counts_as_shown(
    node: LiveNode, chromium: Browser
) -> None:
    with opened(chromium, node, OWN) as (page, wrong):
        page.wait_for_selector("[data-edgewise=home_own][data-edgewise-state=kept]")
        decision = str(page.get_attribute("[data-edgewise=home_own]", "data-edgewise-decision"))
        assert page.inner_text("[data-edgewise=home_own]") == "Our own"
        seen = until(told_of(node, decision))
        assert [(event.name, event.placement, event.touches) for event in seen] == [
            ("Promotion Viewed", "home_own", ())
        ]
        assert wrong == []


def test_without_an_answer_the_fallback_stays_and_events_wait_within_their_bound(
    node: LiveNode, chromium: Browser
) -> None:
    with opened(chromium, node, script="data-manual") as (page, _):
        page.route("**/v1/**", lambda route: route.abort())
        assert page.evaluate("edgewise.refresh()") is None
        assert page.inner_text("[data-edgewise-state=failed]") == "Our classics"
        assert page.evaluate("getComputedStyle(document.querySelector('[data-edgewise]')).visibility") == "visible"
        page.evaluate("for (let n = 0; n < 80; n++) edgewise.track('Waited', { n })")
        page.evaluate("edgewise.track('Waited', { much: 'ü'.repeat(25000) })")  # 50 kB
        page.unroute("**/v1/**")
        page.evaluate("edgewise.refresh()")
        waited = until(lambda: node.events("Waited"))
        assert [json.loads(event.body)["properties"].get("n") for event in waited] == list(range(31, 80))


def test_a_page_without_storage_works_and_says_the_same_id_for_as_long_as_it_lasts(
    node: LiveNode, chromium: Browser
) -> None:
    with opened(chromium, node, before=NO_STORAGE) as (page, wrong):
        before = decided(page)
        asked = questions(page)
        page.evaluate("edgewise.refresh()")
        decided_anew(page, before)
        page.evaluate("edgewise.dial(1)")
        assert page.evaluate("edgewise.dial()") == 1
        assert len({question["anonymousId"] for question in asked}) == 2, "another one once it is not to be known"
        assert wrong == []


def test_placements_that_come_later_and_new_routes_are_decided(node: LiveNode, chromium: Browser) -> None:
    with opened(chromium, node) as (page, wrong):
        first = decided(page)
        asked = questions(page)
        page.evaluate(f"document.querySelector('main').insertAdjacentHTML('beforeend', {json.dumps(LIST)})")
        assert decided(page, "home_list") != first
        assert decided(page) == first, "what is there stays"
        page.evaluate("history.replaceState(null, '', '?sorted')")  # the same page
        page.evaluate("history.pushState(null, '', '/shop/offers')")
        second = decided_anew(page, first)
        page.go_back()
        decided_anew(page, second)
        paths = [(question["context"]["page"]["path"], len(question["placements"])) for question in asked]
        assert paths == [("/shop", 1), ("/shop/offers", 2), ("/shop", 2)]
        assert wrong == []


def test_a_fragment_that_a_proxy_has_put_into_the_page_is_taken_over(node: LiveNode, chromium: Browser) -> None:
    inserted = httpx2.get(f"{node.url}/v1/fragment/home_hero?defer=1", headers={"origin": node.url})
    assert inserted.status_code == 200
    with opened(chromium, node, f"{inserted.text}<div data-edgewise='home_list'>{inserted.text}</div>") as (
        page,
        wrong,
    ):
        asked = questions(page)
        first = str(page.get_attribute("[data-edgewise-placement]", "data-edgewise-decision"))
        page.wait_for_function("window.edgewise")
        answer = page.evaluate("edgewise.refresh()")
        assert set(answer["placements"]) == {"home_hero", "home_list"}
        decided_anew(page, first)
        assert len(asked) == 1, "nothing was asked as long as the fragment held"
        assert page.locator("[data-edgewise-placement]").count() == 2
        assert wrong == []


def test_calls_made_before_the_script_came_are_not_lost(node: LiveNode, chromium: Browser) -> None:
    early = "window.edgewise = [['track', 'Came Early', { n: 1 }]];"
    with opened(chromium, node, "<p>No placement</p>", before=early) as (page, wrong):
        assert json.loads(until(lambda: node.events("Came Early"))[0].body)["properties"] == {"n": 1}
        page.evaluate("edgewise.push(['track', 'Came Late', {}])")
        assert until(lambda: node.events("Came Late"))
        assert wrong == []


# --- seeing and clicking
def test_what_was_in_sight_for_a_second_is_told_once_whatever_else_moves(node: LiveNode, chromium: Browser) -> None:
    busy = "setInterval(() => document.body.toggleAttribute('data-beat') || document.body.append(new Text()), 50)"
    with opened(chromium, node, HERO + LIST) as (page, wrong):
        decision = decided(page)
        page.evaluate(busy)
        listed = shown(page, "home_list")
        told = told_of(node, decision)
        until(lambda: len(told()) > 2)
        seen = [(event.name, event.placement, event.touches[0].item) for event in told()]
        assert seen[0] == ("Promotion Viewed", "home_hero", shown(page)[0])
        # By the list, that is: the hero may have drawn the same film.
        last = ("home_list", listed[-1])
        assert last not in {(placement, item) for _, placement, item in seen}, "it is below the window"
        page.evaluate("document.querySelectorAll('[data-edgewise-item]')[10].scrollIntoView()")
        until(lambda: last in {(event.placement, event.touches[0].item) for event in told()})
        once = [(event.placement, event.touches[0].item) for event in told()]
        assert len(once) == len(set(once))
        assert wrong == []


def test_a_page_that_nobody_looks_at_is_filled_and_not_seen(node: LiveNode, chromium: Browser) -> None:
    """Prerendered, or in a tab behind others."""
    hidden = "Object.defineProperty(document, 'hidden', { get: () => !window.isLookedAt });"
    with opened(chromium, node, before=hidden) as (page, wrong):
        decision = decided(page)
        page.evaluate("edgewise.track('Still Hidden', {})")
        told = told_of(node, decision)
        page.wait_for_timeout(1_200)
        assert told() == []
        page.evaluate("window.isLookedAt = true; document.dispatchEvent(new Event('visibilitychange'))")
        assert [event.name for event in until(told)] == ["Promotion Viewed"]
        assert wrong == []


def test_a_click_is_told_although_the_page_is_left_by_it(node: LiveNode, chromium: Browser) -> None:
    with opened(chromium, node, LIST) as (page, wrong):
        decision = decided(page, "home_list")
        second = shown(page, "home_list")[1]
        page.click("[data-edgewise-item]:nth-child(2) a")
        page.wait_for_url("**/films/*")
        clicked = until(lambda: [event for event in told_of(node, decision)() if event.name == "Product Clicked"])
        assert (clicked[0].placement, clicked[0].touches[0].item) == ("home_list", second)
        seen = {event.touches[0].item for event in told_of(node, decision)() if event.name == "Promotion Viewed"}
        assert second in seen, "who has clicked has seen"
        # Of a page that is gone nobody hears the answer.
        assert {said.rpartition(" ")[2] for said in wrong} <= {"net::ERR_ABORTED"}


def test_what_a_page_holds_back_is_told_when_it_is_left(node: LiveNode, chromium: Browser) -> None:
    with opened(chromium, node) as (page, wrong):
        decided(page)
        page.evaluate("edgewise.track('Left Behind', {})")
        page.goto("about:blank")
        assert until(lambda: node.events("Left Behind"))
        assert wrong == []


def test_a_click_decides_all_anew_without_a_reload_and_is_known_to_that_decision(
    node: LiveNode, chromium: Browser
) -> None:
    with opened(chromium, node, f"<div data-edgewise-refresh>{HERO}{LIST}</div>") as (page, wrong):
        before = decided(page, "home_list")
        page.evaluate(STAYS)
        page.evaluate("window.sameDocument = true")
        asked = questions(page)
        clicked = shown(page, "home_list")[2]
        page.focus("[data-edgewise=home_list] [data-edgewise-item]:nth-child(3) a")
        page.keyboard.press("Enter")
        decided_anew(page, before, "home_list")
        assert clicked not in shown(page, "home_list"), "what was looked at leaves the list"
        assert "Product Clicked" in [event["event"] for event in asked[0]["events"]]
        assert page.evaluate("window.sameDocument")
        place = "[...document.querySelectorAll('[data-edgewise=home_list] a')].indexOf(document.activeElement)"
        assert page.evaluate(place) == 2, "whoever goes by keyboard is where he was"
        assert wrong == []


# --- what the visitor wants
def test_an_id_is_kept_only_as_long_as_dial_and_consent_allow(node: LiveNode, chromium: Browser) -> None:
    with opened(chromium, node) as (page, wrong):
        decided(page)
        identity = stored(page)["edgewise_id"]
        assert page.evaluate("localStorage.edgewise_id") == identity
        page.evaluate("edgewise.dial(2)")
        assert page.evaluate("[localStorage.edgewise_id, sessionStorage.edgewise_id]") == [None, identity]
        gone = page.evaluate("edgewise.dial(0), [localStorage.edgewise_id, sessionStorage.edgewise_id]")
        assert gone == [None, None], "at once, whether an answer comes or not"
        page.evaluate("edgewise.dial(2)")
        assert page.evaluate("sessionStorage.edgewise_id") not in (None, identity)
        page.evaluate("edgewise.consent({ personalisation: 'denied' })")
        assert stored(page) == {"edgewise_dial": "2"}
        answer = page.evaluate("edgewise.track('Not Told', {}), edgewise.dial(0)")
        assert answer["placements"]["home_hero"]["reason"] == "OPTED_OUT"
        page.evaluate("edgewise.track('Not Told', {})")
        page.reload()
        decided(page)
        assert page.evaluate("edgewise.dial()") == 0
        assert stored(page) == {"edgewise_dial": "0"}
        assert node.events("Not Told") == []
        # The browser had a proof: what he said holds on the node, too, for whoever asks with it.
        said = page.evaluate("fetch('/v1/preferences').then(answer => answer.json())")
        assert (said["dial"], said["consent"]) == (0, {"personalisation": "denied"})
        assert wrong == []


HOLDING = """
window.told = [];
const wanted = {}, held = {};
window.hold = (key) => new Promise((isHeld) => wanted[key] = isHeld);
window.release = (key) => held[key]();
const original = window.fetch;
window.fetch = async (url, init) => {
  const said = init?.body ? JSON.parse(init.body) : {};
  const key = init?.method == "PUT" ? "will " + said.dial : "question at " + said.options?.dial;
  told.push(key);
  const answer = await original(url, init);
  const tell = wanted[key];
  delete wanted[key];
  if (tell) await new Promise((done) => { held[key] = done; tell(); });
  told.push("answer to " + key);
  return answer;
};
"""
"""`told` has what goes out and what comes back; an answer that the page is to `hold` waits for its `release`."""


def holding(page: Page, key: str, call: str) -> None:
    """Call, and wait until the answer with this key is held; `window.first` is the call's promise."""
    page.evaluate(f"() => {{ const isHeld = hold('{key}'); window.first = {call}; return isHeld; }}")


def test_what_a_visitor_wants_last_is_told_at_once_and_last(node: LiveNode, chromium: Browser) -> None:
    """Should the page be left, it is on its way; where something older was, it is said again after that."""
    with opened(chromium, node, before=HOLDING) as (page, wrong):
        decided(page)
        page.evaluate("edgewise.refresh()")  # from now on he has a proof, so that what he wants is told
        holding(page, "will 1", "edgewise.dial(1)")
        page.evaluate("edgewise.dial(2)")
        assert wills(page) == ["will 1", "will 2", "answer to will 2"]
        page.evaluate("() => { release('will 1'); return first; }")
        assert wills(page)[3:] == ["answer to will 1", "will 2", "answer to will 2"]
        page.evaluate("edgewise.dial(1)")
        assert wills(page)[6:] == ["will 1", "answer to will 1"], "once, where nothing else is under way"
        assert wrong == []


def wills(page: Page) -> list[str]:
    return [each for each in page.evaluate("told") if "will" in each]


def test_no_answer_to_what_he_wanted_before_undoes_what_he_wants_now(node: LiveNode, chromium: Browser) -> None:
    with opened(chromium, node, before=HOLDING) as (page, wrong):
        decided(page)
        holding(page, "question at 0", "edgewise.dial(0)")
        page.evaluate("edgewise.dial(2)")
        identity = page.evaluate("sessionStorage.edgewise_id")
        assert identity
        page.evaluate("() => { release('question at 0'); return first; }")
        assert page.evaluate("[edgewise.dial(), sessionStorage.edgewise_id]") == [2, identity]
        # An answer from before he has stopped everything must not keep an id either.
        holding(page, "question at 2", "edgewise.refresh()")
        page.evaluate("edgewise.dial(0)")
        page.evaluate("() => { release('question at 2'); return first; }")
        assert page.evaluate("[edgewise.dial(), sessionStorage.edgewise_id]") == [0, None]
        assert wrong == []


def test_an_answer_that_fits_what_he_has_said_since_still_counts(node: LiveNode, chromium: Browser) -> None:
    """A page that only asks by itself, and whose consent comes while its question is under way."""
    with opened(chromium, node, "", script="data-manual", before=HOLDING) as (page, wrong):
        holding(page, "question at 3", "edgewise.decide([{ name: 'home_hero' }])")
        page.evaluate("edgewise.consent({ personalisation: 'granted', analytics: 'granted' })")
        page.evaluate("() => { release('question at 3'); return first; }")
        assert page.evaluate("localStorage.edgewise_id")
        holding(page, "question at 3", "edgewise.decide([{ name: 'home_hero' }])")
        page.evaluate("edgewise.consent({ personalisation: 'denied' })")
        page.evaluate("() => { release('question at 3'); return first; }")
        # What was kept stays until an answer says otherwise, and none was asked for; nothing is kept anew.
        page.evaluate("localStorage.clear()")
        holding(page, "question at 3", "edgewise.decide([{ name: 'home_hero' }])")
        page.evaluate("edgewise.consent({ personalisation: 'pending' })")
        page.evaluate("() => { release('question at 3'); return first; }")
        assert not page.evaluate("localStorage.edgewise_id")
        assert wrong == []


def test_without_consent_nothing_is_kept_and_nothing_tied_to_anybody(node: LiveNode, chromium: Browser) -> None:
    consent = 'data-consent="personalisation=denied, analytics=denied"'
    with opened(chromium, node, script=consent) as (page, wrong):
        decided(page)
        page.evaluate("edgewise.track('Looked Around', {})")
        nobody = until(lambda: [event for event in node.all_events() if event.subject == ""])
        assert all(event.body == b"" for event in nobody)
        assert stored(page) == {}
        assert page.context.cookies() == []
        assert wrong == []
