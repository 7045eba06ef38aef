"""Pages that real nginx (SSI) and Varnish (ESI) put together by the recipes of `deploy/`: never an error in them."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx2
import pytest
from proxy_world import FALLBACK, PROXIES, Edge, Shop, Visitor, free_port, node_of_two, serving

from edge.agent.purging import asker

pytestmark = pytest.mark.process
REQUESTS = 200
FAILURES = ("400", "401", "403", "404", "413", "429", "431", "500", "502", "503", "hangs", "resets", "garbage")


class Behind(NamedTuple):
    """What a test asks: a proxy, before a node that knows two visitors."""

    http: httpx2.Client
    page: str
    node: str
    visitors: tuple[Visitor, ...]

    def ask(self, method: str, path: str, visitor: Visitor | None = None, **options: Any) -> httpx2.Response:
        """One request of somebody, who keeps no cookies of others."""
        self.http.cookies.clear()
        headers = {**({} if visitor is None else {"cookie": visitor.cookie}), **options.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **options)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, tuple[Visitor, ...]]]:
    with node_of_two(tmp_path_factory.mktemp("node")) as (started, visitors):
        yield started.said["url"], visitors


@pytest.fixture(scope="module", params=PROXIES)
def behind(
    request: pytest.FixtureRequest,
    node: tuple[str, tuple[Visitor, ...]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Behind]:
    url, visitors = node
    kind = str(request.param)
    edge = urllib.parse.urlsplit(url).port
    folder = tmp_path_factory.mktemp(kind)
    with (
        serving(Shop) as shop,
        PROXIES[kind](folder, edge=edge, shop=shop) as proxied,
        httpx2.Client(base_url=proxied, timeout=20) as http,
    ):
        yield Behind(http, f"/{kind}", url, visitors)


OF_HIS_OWN = re.compile(
    r'"greeting" data-edgewise-decision="\w+"(?:(?!edgewise-placement).)*?<h3>of (\w+)</h3>', re.DOTALL
)


def titles(page: str) -> list[str]:
    return re.findall(r"<h3>of (\w+)</h3>", page)


def test_interleaved_pages_of_two_visitors_hold_nothing_of_the_other(behind: Behind) -> None:
    def fetch(number: int) -> tuple[str, httpx2.Response]:
        visitor = behind.visitors[number % 2]
        return visitor.name, behind.http.get(behind.page, headers={"cookie": visitor.cookie})

    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(fetch, range(REQUESTS)))
    for name, answer in pages:
        whose = OF_HIS_OWN.findall(answer.text)
        assert set(whose) <= {name}, answer.text
        # A busy machine keeps a node from answering in time: then the fallback stands there, and nobody's name.
        assert len(whose) == 2 or FALLBACK in answer.text or "the default of the page" in answer.text
        assert "set-cookie" not in answer.headers
        assert answer.headers["cache-control"] == "private, no-store"
        assert "etag" not in answer.headers
    whole = [answer.text for name, answer in pages if titles(answer.text) == [name, "ann", name]]
    assert len(whole) > REQUESTS / 2
    shared_ids = {re.findall(r'"footer" data-edgewise-decision="(\w+)"', text)[0] for text in whole}
    assert len(shared_ids) == 1
    own_ids = re.findall(r'"greeting" data-edgewise-decision="(\w+)"', "".join(whole))
    assert len(set(own_ids)) == 2 * len(whole)


def test_a_page_that_answers_a_form_has_its_fragments_too(behind: Behind) -> None:
    answer = behind.ask("POST", behind.page, behind.visitors[1], data={"a": "b" * 5_000})
    assert titles(answer.text) == ["bob", "ann", "bob"]


def test_a_visitor_without_a_cookie_gets_the_fallback_and_no_cookie(behind: Behind) -> None:
    answer = behind.ask("GET", behind.page)
    assert titles(answer.text) == ["nobody", "ann", "nobody"]
    assert "set-cookie" not in answer.headers


def test_the_page_of_a_subrequest_is_the_page_that_the_visitor_sees(behind: Behind) -> None:
    answer = behind.ask("GET", f"{behind.page}?secret=1", behind.visitors[0])
    decision = re.findall(r'"greeting" data-edgewise-decision="(\w+)"', answer.text)[0]
    why = behind.ask("GET", f"/v1/why/{decision}", behind.visitors[0])
    assert why.status_code == 200, why.text
    other = behind.ask("GET", f"/v1/why/{decision}", behind.visitors[1])
    assert other.status_code == 404


def test_the_browsers_own_requests_pass_with_their_cookies_both_ways(behind: Behind) -> None:
    decided = behind.ask("POST", "/v1/decide", json={"placements": [{"name": "greeting"}]})
    assert decided.status_code == 200
    assert "ew_id=" in decided.headers["set-cookie"]
    assert behind.ask("GET", "/v1/preferences").status_code == 401
    assert behind.ask("GET", "/v1/preferences", behind.visitors[0]).json()["dial"] == 3


def test_links_of_mails_pass_as_they_are_and_nothing_keeps_them(behind: Behind) -> None:
    """No cookie, no `<esi:` or `<!--#` is read in them, and who was told something is told anew next time."""
    for path in ("/v1/mail/unsubscribe/abc", "/v1/mail/preferences/abc", "/v1/mail/why/abc", "/v1/why/abc"):
        for _ in range(2):
            through = behind.ask("GET", path, headers={"surrogate-control": "ESI/1.0"})
            node = httpx2.get(f"{behind.node}{path}", headers={"authorization": "Basic ZGVtbzo="})
            assert (through.status_code, through.text) == (node.status_code, node.text), path
            assert through.headers["cache-control"] == node.headers["cache-control"]
            assert "no-store" in through.headers["cache-control"]
            assert "set-cookie" not in through.headers
            assert through.headers.get("age", "0") == "0"
    ended = behind.ask("POST", "/v1/mail/unsubscribe/abc", data={"List-Unsubscribe": "One-Click"})
    assert ended.status_code == httpx2.post(f"{behind.node}/v1/mail/unsubscribe/abc").status_code


@pytest.mark.parametrize("path", ["/status", "/metrics", "/openapi.json", "/health/ready"])
def test_what_is_the_operators_is_not_passed_on(behind: Behind, path: str) -> None:
    assert "the shop" not in behind.ask("GET", path).text
    assert "edgewise_" not in behind.ask("GET", path).text
    assert "<html>" in behind.ask("GET", path).text


def test_nobody_becomes_an_operator_behind_a_proxy(behind: Behind) -> None:
    body = {"placements": [{"name": "greeting"}], "options": {"debug": True}}
    assert behind.ask("POST", "/v1/decide", json=body).status_code == 403


def test_a_shared_fragment_is_kept_until_somebody_asks_to_forget_its_key(behind: Behind) -> None:
    def decision() -> str:
        answer = behind.ask("GET", "/v1/fragment/footer?shared=1")
        assert answer.headers["cache-control"] == "public, max-age=0, s-maxage=60"
        return answer.headers["edgewise-decision"]

    def purge(keys: str, method: str = "POST") -> int:
        return behind.ask(method, "/.edgewise/purge", headers={"surrogate-key": keys}).status_code

    first = decision()
    assert purge("ew-p-greeting ew-i-film-9 ew-p-foot ew-p-footer2 p-footer footer") == 200
    assert decision() == first
    if behind.page == "/ssi":
        return  # Debian's nginx forgets nothing before its time
    for keys in ("ew-i-film-9 ew-p-footer", "edgewise", "ew-b-7"):
        before = decision()
        assert purge(keys) == 200
        assert decision() != before
    before = decision()
    asker(f"{behind.http.base_url}/.edgewise/purge", "")(["ew-i-film-9", "ew-p-footer"])
    assert decision() != before
    assert [purge('a" || obj.status == "200'), purge(""), purge(".*")] == [400, 400, 400]
    assert purge("edgewise", "GET") == 403


# --- a node that fails ------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module", params=PROXIES)
def failing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    kind = str(request.param)
    with (
        serving(Shop) as shop,
        serving(Edge) as edge,
        PROXIES[kind](tmp_path_factory.mktemp(kind), edge=edge, shop=shop) as proxied,
        httpx2.Client(base_url=proxied, timeout=20) as http,
    ):
        yield Behind(http, f"/{kind}", "", ())
        Edge.patience.set()


@pytest.mark.parametrize("mode", FAILURES)
def test_a_fragment_that_fails_is_its_fallback_and_no_error_page(
    failing: Behind, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    assert failing.ask("GET", failing.page).text.count("from the node") == 3
    monkeypatch.setattr(Edge, "mode", mode)
    answer = failing.ask("GET", failing.page)
    assert answer.status_code == 200
    if (mode, failing.page) == ("garbage", "/ssi"):
        # A gap of nginx: whatever is no HTTP/1.1 it takes for HTTP/0.9, and nothing turns that off.
        assert "what is this" in answer.text
        return
    assert answer.text.count(FALLBACK) == 2
    assert ("the default of the page" in answer.text) == (failing.page == "/ssi")
    assert "error" not in answer.text
    assert answer.text.endswith("</body></html>")
    assert answer.elapsed.total_seconds() < 5
    alone = failing.ask("GET", "/v1/fragment/greeting")
    assert (alone.status_code, FALLBACK in alone.text) == (200, True)
    assert alone.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("kind", PROXIES)
def test_a_node_that_is_gone_is_a_fallback(tmp_path_factory: pytest.TempPathFactory, kind: str) -> None:
    with (
        serving(Shop) as shop,
        PROXIES[kind](tmp_path_factory.mktemp(kind), edge=free_port(), shop=shop) as url,
    ):
        page = httpx2.get(f"{url}/{kind}", timeout=20)
        assert (page.status_code, page.text.count(FALLBACK)) == (200, 2)
        decide = httpx2.post(f"{url}/v1/decide", json={}, timeout=20)
        assert decide.status_code in {502, 503}
