"""`GET /v1/fragment/{placement}`: never an error page, private unless shared on purpose, counted like any decision."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from edge_world import KEYS, STRANGER, VISITOR, bundle_files, decisions, install, node, open_desk, profile_of, viewed
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from typing_extensions import override
from world import HERO, LIST, NOW_MS, bundle, placement, policy

from edge.node.layout import NodePaths
from edge.worker.app import make_app
from edge.worker.desk import Desk
from edgewise.bundle.policy import Compare, Every, Not, Shared, Some
from edgewise.errors import BundleRefused
from edgewise.ids import PlacementName
from edgewise.subjects import subject_of
from edgewise.visitor import sign_visitor

BANNER = PlacementName("banner")
SHARED = Shared(vary=["locale", "attributes.weather"], max_age_s=30)
COOKIE = {"cookie": f"ew_id={sign_visitor(KEYS.visitor_key, VISITOR, NOW_MS)}"}


def only(genre: str, field: str, value: str) -> Some:
    """Nothing but this genre where a field of the context has this value."""
    return Some([Not(Compare(f"context.{field}", "eq", value)), Compare("item.category", "contains", genre)])


IN_SUN, IN_GERMAN = only("western", "attributes.weather", "sunny"), only("musical", "locale", "de")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Desk]]:
    """The film shop, whose banner may be shared: westerns in sunshine, musicals in German."""
    shared = placement(eligibility=[Every([IN_SUN, IN_GERMAN])], shared=SHARED)
    made = policy({**policy().placements, BANNER: shared})
    with node(tmp_path_factory.mktemp("node"), policy=made) as opened:
        yield opened


def get(client: TestClient, path: str, **headers: str) -> Any:
    client.cookies.clear()
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.get(f"/v1/fragment/{path}", headers=said)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer


def shown(answer: Any) -> list[str]:
    return re.findall(r'data-edgewise-item="([^"]+)"', answer.text)


def test_a_fragment_is_the_decision_as_html_and_its_record_says_the_same(site: tuple[TestClient, Desk]) -> None:
    client, desk = site
    answer = get(client, f"{LIST}?count=3&path=/sale&locale=en-GB&device=mobile&exclude=film-1,film-2", **COOKIE)
    record = decisions(desk)[-1]
    assert answer.headers["edgewise-decision"] == record.decision_id
    assert f'data-edgewise-placement="{LIST}" data-edgewise-decision="{record.decision_id}">' in answer.text
    assert (len(shown(answer)), record.deferred) == (3, False)
    assert not {"film-1", "film-2"} & set(shown(answer))
    assert (record.context.page.path, record.context.locale, record.context.device.type) == ("/sale", "en-GB", "mobile")
    assert record.subject == subject_of(desk.keys.subject_key, "anonymousId", VISITOR)
    assert answer.headers["edgewise-reason"] in {"MODEL", "EXPLORE"}


def test_a_fragment_follows_the_click_before_it(site: tuple[TestClient, Desk]) -> None:
    client, desk = site
    visitor = "follows-the-click"
    client.post("/v1/track", json={**viewed("film-12"), "anonymousId": visitor})
    assert profile_of(desk, visitor) is not None
    after = get(client, f"{LIST}?count=5", edgewise_id=visitor)
    assert {"film-11", "film-13"} & set(shown(after))


@pytest.mark.parametrize(
    ("path", "headers", "why"),
    [
        ("nowhere", {}, "unknown-placement"),
        (f"{HERO}?count=many", {}, "invalid"),
        (f"{HERO}?count=0", {}, "invalid"),
        (f"{HERO}?defer=perhaps", {}, "invalid"),
        (f"{HERO}?deadlineMs=-1", {}, "invalid"),
        (f"{HERO}?{'&'.join(f'p{number}=1' for number in range(200))}", {}, "invalid"),
        (f"{HERO}?shared=1", {}, "not-shared"),
        ("nowhere?shared=1", {}, "not-shared"),
        (HERO, {"edgewise_consent": "personalization=deneid"}, "invalid"),
        (HERO, {"edgewise_consent": "marketting=denied"}, "invalid"),
        (f"{HERO}?path={'a' * 9_000}", {}, "target-too-long"),
        (HERO, {"x_large": "a" * 17_000}, "headers-too-large"),
        (HERO, {"host": "a", "Host": "b"}, "malformed-request"),
    ],
)
def test_whatever_is_wrong_is_answered_with_the_fallback_and_kept_by_nobody(
    site: tuple[TestClient, Desk], path: str, headers: dict[str, str], why: str
) -> None:
    client, _ = site
    before = _fallbacks(client).get(why, 0.0)
    answer = get(client, path, **headers)
    assert answer.headers["edgewise-fallback"] == why
    assert answer.headers["cache-control"] == "private, no-store"
    assert shown(answer) == ([] if path.startswith("nowhere") else ["film-20"])
    assert "edgewise-decision" not in answer.headers
    assert "data-edgewise-decision" not in answer.text
    assert _fallbacks(client)[why] == before + 1


def test_whoever_may_not_ask_gets_the_fallback(site: tuple[TestClient, Desk]) -> None:
    client, _ = site
    answer = client.get(f"/v1/fragment/{HERO}", auth=("nobody", ""))
    assert (answer.status_code, answer.headers["edgewise-fallback"], shown(answer)) == (
        200,
        "unauthorised",
        ["film-20"],
    )


def _fallbacks(client: TestClient) -> dict[str, float]:
    text = client.get("/metrics").text
    pairs = re.findall(r'edgewise_fragment_fallbacks_total\{why="([\w-]+)"\} (\S+)', text)
    return {why: float(count) for why, count in pairs}


def test_a_name_that_would_break_out_of_its_attribute_is_escaped(site: tuple[TestClient, Desk]) -> None:
    client, _ = site
    answer = get(client, "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E".replace("%2F", ""))
    assert "<script" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="/."), min_size=1, max_size=40),
    st.text(st.characters(codec="ascii", min_codepoint=33), max_size=60),
    st.dictionaries(
        st.sampled_from(
            ["cookie", "edgewise-consent", "edgewise-dial", "edgewise-id", "accept-language", "sec-purpose"]
        ),
        st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=30),
    ),
)
def test_no_request_for_a_fragment_ever_gets_an_error(
    site: tuple[TestClient, Desk], name: str, query: str, headers: dict[str, str]
) -> None:
    client, _ = site
    client.cookies.clear()
    answer = client.get(f"/v1/fragment/{quote(name, safe='')}?{quote(query, safe='=&')}", headers=headers)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-store")
    container = _Container()
    container.feed(answer.text)
    assert container.opened == [name]


class _Container(HTMLParser):
    """Names of placements that a fragment's elements say."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str | None] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened += [value for name, value in attrs if name == "data-edgewise-placement"]


@pytest.mark.parametrize("suffix", ["/x.css", "/", "//", "/%2e%2e/openapi.json"])
def test_no_address_behind_a_fragment_is_one(site: tuple[TestClient, Desk], suffix: str) -> None:
    """What a cache may take for a file must never hold what is one visitor's; nor is it an error page."""
    client, _ = site
    answer = client.get(f"/v1/fragment/{HERO}{suffix}")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-store")
    assert answer.headers["edgewise-fallback"] == "not-found"
    container = _Container()
    container.feed(answer.text)
    assert container.opened == [unquote(HERO + suffix)]
    assert "data-edgewise-item" not in answer.text


def test_a_node_without_a_bundle_answers_with_an_empty_container(tmp_path: Path) -> None:
    with node(tmp_path, bundle=False, auth=None) as (client, _):
        answer = get(client, HERO)
        assert answer.text == f'<div data-edgewise-placement="{HERO}"></div>'
        assert answer.headers["edgewise-fallback"] == "no-bundle"


def test_an_error_of_ours_is_answered_with_the_fallback(tmp_path: Path) -> None:
    install(NodePaths(tmp_path), bundle_files())
    desk = open_desk(tmp_path)
    desk.entropy = lambda _: b"too short"
    with TestClient(make_app(desk), base_url="http://127.0.0.1", client=STRANGER) as client:
        client.auth = ("demo", "")
        answer = get(client, HERO)
        assert answer.headers["edgewise-fallback"] == "internal"
        assert shown(answer) == ["film-20"]
        assert desk.counts.failures["request"] == 1


def test_load_makes_a_fragment_poorer_and_says_so(tmp_path: Path) -> None:
    with node(tmp_path) as (client, desk):
        desk.admission.level = 3.0
        answer = get(client, HERO)
        assert (answer.headers["edgewise-reason"], shown(answer)) == ("FALLBACK_OVERLOAD", ["film-20"])


# --- whom it is about -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "headers",
    [{"sec_gpc": "1"}, {"edgewise_consent": "personalisation=denied"}, {"edgewise_consent": "personalization=denied"}],
)
def test_who_does_not_want_it_gets_the_page_alone(site: tuple[TestClient, Desk], headers: dict[str, str]) -> None:
    client, desk = site
    answer = get(client, HERO, **COOKIE, **headers)
    assert answer.headers["edgewise-reason"] == "OPTED_OUT"
    assert "set-cookie" not in answer.headers
    assert not decisions(desk)[-1].grants.personalisation


def test_a_cookie_is_only_made_for_whom_it_reaches(site: tuple[TestClient, Desk]) -> None:
    """A proxy drops the cookies of its subrequests, so that each page view would begin another visitor."""
    client, _ = site
    assert "set-cookie" not in get(client, HERO, sec_fetch_dest="document").headers
    assert "set-cookie" not in get(client, HERO).headers
    assert "ew_id=" in get(client, HERO, sec_fetch_dest="empty").headers["set-cookie"]
    assert "set-cookie" not in get(client, HERO, sec_fetch_dest="empty", **COOKIE).headers


@pytest.mark.parametrize(
    ("query", "headers"),
    [("?defer=1", {}), ("", {"sec_purpose": "prefetch;prerender"}), ("", {"purpose": "prefetch"})],
)
def test_what_nobody_may_ever_see_counts_only_once_it_was_seen(
    site: tuple[TestClient, Desk], query: str, headers: dict[str, str]
) -> None:
    client, desk = site
    answer = get(client, HERO + query, **headers)
    assert decisions(desk)[-1].deferred
    assert "data-edgewise-deferred" in answer.text


def test_a_head_decides_nothing(site: tuple[TestClient, Desk]) -> None:
    client, desk = site
    before = len(decisions(desk))
    answer = client.head(f"/v1/fragment/{HERO}")
    assert (answer.status_code, answer.content, len(decisions(desk))) == (200, b"", before)


# --- shared by allow-list ---------------------------------------------------------------------------------------------
def test_a_shared_fragment_may_be_kept_and_carries_its_keys(site: tuple[TestClient, Desk]) -> None:
    client, _ = site
    answer = get(client, f"{BANNER}?shared=1")
    assert answer.headers["cache-control"] == "public, max-age=0, s-maxage=30"
    (item,) = shown(answer)
    keys = f"edgewise ew-b-7 ew-p-banner ew-i-{item}"
    assert (answer.headers["surrogate-key"], answer.headers["xkey"]) == (keys, keys)
    assert answer.headers["cache-tag"] == keys.replace(" ", ",")


def test_a_shared_fragment_is_the_same_whoever_asks(site: tuple[TestClient, Desk]) -> None:
    """Not the cookie, not the profile, not the arm of an experiment, not what only a proxy knows."""
    client, desk = site
    for film in ("film-9", "film-10", "film-11"):
        client.post("/v1/track", json={**viewed(film), "anonymousId": VISITOR})
    headers: list[dict[str, str]] = [
        {},
        {**COOKIE},
        {"edgewise_id": "somebody-else"},
        {"sec_gpc": "1"},
        {"edgewise_consent": "personalisation=granted"},
        {"sec_fetch_dest": "empty"},
        {"edgewise_page": "/elsewhere"},
    ]
    answers = [get(client, f"{BANNER}?shared=1&path=/a&device=mobile&country=DE", **each) for each in headers]
    assert {tuple(shown(each)) for each in answers} == {("film-0",)}
    assert not any("set-cookie" in each.headers for each in answers)
    record = decisions(desk)[-1]
    assert (record.subject, record.grants.personalisation, record.deferred) == ("", False, True)
    assert (record.context.page.path, record.context.device.type, record.context.geo.country) == ("", "", "")


def test_only_what_the_site_lists_tells_shared_fragments_apart(site: tuple[TestClient, Desk]) -> None:
    client, _ = site
    western = get(client, f"{BANNER}?shared=1&attributes.weather=sunny")
    musical = get(client, f"{BANNER}?shared=1&locale=de")
    assert (shown(western), shown(musical)) == (["film-3"], ["film-4"])
    assert "vary" not in musical.headers


def test_a_language_from_a_header_is_told_to_caches(site: tuple[TestClient, Desk]) -> None:
    client, _ = site
    musical = get(client, f"{BANNER}?shared=1", accept_language="en;q=0.3, de")
    assert (shown(musical), musical.headers["vary"]) == (["film-4"], "accept-language")
    # Of somebody who says none as well, or a cache would give his to whoever reads German.
    assert get(client, f"{BANNER}?shared=1").headers["vary"] == "accept-language"


def test_nobody_keeps_what_only_load_has_made(tmp_path: Path) -> None:
    made = policy({BANNER: placement(shared=SHARED)})
    with node(tmp_path, policy=made) as (client, desk):
        desk.admission.level = 3.0
        answer = get(client, f"{BANNER}?shared=1")
        assert (answer.headers["edgewise-reason"], answer.headers["cache-control"]) == (
            "FALLBACK_OVERLOAD",
            "private, no-store",
        )
        assert "surrogate-key" not in answer.headers


def test_a_placement_that_may_be_shared_is_personal_where_nobody_asks_for_it(site: tuple[TestClient, Desk]) -> None:
    client, desk = site
    answer = get(client, BANNER, **COOKIE)
    assert answer.headers["cache-control"] == "private, no-store"
    assert decisions(desk)[-1].subject == subject_of(desk.keys.subject_key, "anonymousId", VISITOR)


def test_a_release_that_is_shared_by_what_nobody_knows_is_refused() -> None:
    """A node that passed over the name would give one answer to all whom it was to tell apart."""
    with pytest.raises(BundleRefused, match="no field 'weather'"):
        bundle(policy=policy({BANNER: placement(shared=Shared(vary=["locale", "weather"]))}))
