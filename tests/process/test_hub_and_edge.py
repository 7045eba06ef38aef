"""Hub and nodes as people run them: a release travels, events come back, and the hub may die in between."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from processes import Started, ask, edgewise, until

from edge.node.keys import load_site_keys
from edge.node.layout import NodePaths
from edge.profiles.cache import ProfileCache
from edgewise.cli import main
from edgewise.ids import SubjectId
from edgewise.subjects import subject_of
from hub.ledger.ledger import open_ledger
from hub.replay import replay_decisions

pytestmark = pytest.mark.process

ITEM = "earl-grey"


class Shop:
    """A site, its hub's folder, and the nodes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hub_dir = folder / "hub"
        self.site = folder / "site"
        made = self.run("site", "init", str(self.site))
        key = f"{made['write_key']}:".encode()
        self.quick = folder / "quick.toml"
        self.quick.write_text("reconnect_most_ms = 500\n")  # a fleet would come back more gently
        self.headers = {"Authorization": f"Basic {base64.b64encode(key).decode()}"}

    def run(self, *words: str) -> Any:
        """A command on the hub's folder that must succeed, run in this process to save its start; its JSON."""
        by = ("--by", "tester") if words[0] in {"site", "release"} else ()
        said = io.StringIO()
        with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
            main([*words, "--data-dir", str(self.hub_dir), *by, "--json"])
        assert ended.value.code == 0, said.getvalue()
        return json.loads(said.getvalue())

    def release(self) -> int:
        """Build and approve a release of what the site says now."""
        version = int(self.run("site", "apply", str(self.site))["release"]["version"])
        self.run("release", "approve", str(version))
        return version

    @contextmanager
    def hub(self, grpc: str = "127.0.0.1:0") -> Iterator[Started]:
        words = ("hub", "serve", "--data-dir", str(self.hub_dir), "--grpc", grpc, "--admin", "127.0.0.1:0")
        with edgewise(*words, log=self.folder / "hub.log") as hub:
            yield hub

    @contextmanager
    def node(self, name: str, hub: str) -> Iterator[Started]:
        words = ("edge", "serve", "--port", "0", "--workers", "1", "--data-dir", str(self.folder / name))
        with edgewise(*words, "--hub", hub, "--config", str(self.quick), log=self.folder / f"{name}.log") as node:
            yield node

    def decide(self, node: Started) -> Any:
        body = {"anonymousId": "ann", "placements": [{"name": "home_hero"}]}
        return ask(f"{node.said['url']}/v1/decide", body, headers=self.headers)

    def track(self, node: Started, message_id: str) -> None:
        call = {
            "anonymousId": "ann",
            "event": "Product Viewed",
            "messageId": message_id,
            "properties": {"product_id": ITEM},
        }
        assert ask(f"{node.said['url']}/v1/track", call, headers=self.headers) == {"success": True}

    def cookie(self, node: Started, page_names: str | None) -> str:
        """Of a new visitor whose page may have an id of its own."""
        return str(self._decide(node, page_names, "")[0]["set-cookie"]).partition(";")[0]

    def reason(self, node: Started, page_names: str | None, cookie: str) -> str:
        """Why this visitor sees what he sees."""
        return str(self._decide(node, page_names, cookie)[1]["placements"]["home_hero"]["reason"])

    def becomes_opted_out(self, node: Started, page_names: str | None, cookie: str, *, expected: bool) -> None:
        until(lambda: (self.reason(node, page_names, cookie) == "OPTED_OUT") is expected)

    def opt_out(self, node: Started, cookie: str) -> None:
        self._send(node, "PUT", "/v1/preferences", {"dial": 0}, cookie)

    def _decide(self, node: Started, page_names: str | None, cookie: str) -> tuple[Message, Any]:
        body: dict[str, Any] = {"placements": [{"name": "home_hero"}]}
        if page_names is not None:
            body["anonymousId"] = page_names
        return self._send(node, "POST", "/v1/decide", body, cookie)

    def _send(self, node: Started, method: str, path: str, body: Any, cookie: str) -> tuple[Message, Any]:
        headers = {**self.headers, "Content-Type": "application/json", "Cookie": cookie}
        with contextlib.closing(HTTPConnection(urlsplit(node.said["url"]).netloc, timeout=10)) as connection:
            connection.request(method, path, json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        assert answer.status == 200, content
        return answer.headers, json.loads(content)

    def stored(self) -> Counter[str]:
        """How often each event is in the ledger, by its message id."""
        with open_ledger(self.hub_dir) as ledger:
            return Counter(event.message_id for _, event in ledger.events())


def version(node: Started) -> int:
    """What all workers of a node serve; -1 for nothing."""
    bundle = ask(f"{node.said['url']}/status")["bundle"]
    return -1 if bundle is None or bundle["version"] is None else int(bundle["version"])


def subject(folder: Path) -> SubjectId:
    return subject_of(load_site_keys(NodePaths(folder)).subject_key, "anonymousId", "ann")


@pytest.mark.timeout(240)
def test_a_release_travels_events_come_back_and_the_hub_may_die_in_between(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.release()
    with shop.hub() as hub, shop.node("one", hub.said["hub"]) as one, shop.node("two", hub.said["hub"]) as two:
        # Nothing is promoted: the built-in fallback answers, whatever is asked for.
        assert shop.decide(one)["placements"]["home_hero"]["reason"] == "FALLBACK_NO_BUNDLE"

        shop.run("release", "promote", "1")
        until(lambda: version(one) == version(two) == 1)
        assert [item["id"] for item in shop.decide(one)["placements"]["home_hero"]["items"]]
        until(lambda: {node["bundle_version"] for node in shop.run("nodes")["nodes"]} == {1})

        # What happens on one node is stored, and known on the other.
        shop.decide(two)
        shop.track(one, "m-first")
        until(lambda: shop.stored() == {"m-first": 1})
        ann, cache = subject(tmp_path / "two"), ProfileCache.open(tmp_path / "two" / "profiles")
        until(lambda: (profile := cache.profile(ann)) is not None and ITEM in profile.items)
        cache.close()

        # Who opts out on one node is opted out on the other, under whatever name its page knows him.
        for page_names in (None, "page-id"):
            cookie = shop.cookie(one, page_names)
            assert shop.reason(one, page_names, cookie) != "OPTED_OUT"
            shop.becomes_opted_out(two, page_names, cookie, expected=False)
            shop.opt_out(one, cookie)
            assert shop.reason(one, page_names, cookie) == "OPTED_OUT"
            shop.becomes_opted_out(two, page_names, cookie, expected=True)
        cookie = shop.cookie(one, None)
        shop.opt_out(one, cookie)

        # The hub dies. Nobody notices but the status.
        hub.stop(number=signal.SIGKILL)
        for number in range(20):
            assert shop.decide(one)["bundle"]["version"] == 1
            shop.track(one, f"m-away-{number}")
        until(lambda: not ask(f"{one.said['url']}/status")["hub"]["connected"])
        # Whom the other node has never heard of may have opted out, as he has.
        assert shop.reason(two, None, cookie) == shop.reason(two, "page-id", cookie) == "OPTED_OUT"
        assert shop.reason(two, None, shop.cookie(two, None)) != "OPTED_OUT"
        assert ask(f"{one.said['url']}/health/ready")["state"] in {"READY", "STALE"}
        catalogue = next(file for file in sorted(shop.site.rglob("*.yaml")) if "Earl Grey" in file.read_text())
        catalogue.write_text(catalogue.read_text().replace("price: 7", "price: 8"))
        assert shop.release() == 2
        shop.run("release", "promote", "2")

        # It comes back: the spool drains, nothing is lost or doubled, and what was promoted meanwhile arrives.
        with shop.hub(grpc=hub.said["hub"]):
            until(lambda: version(one) == version(two) == 2)
            expected = {"m-first": 1} | {f"m-away-{number}": 1 for number in range(20)}
            until(lambda: shop.stored() == expected)
            until(lambda: ask(f"{one.said['url']}/status")["spool"]["pending"] == 0)
            with open_ledger(shop.hub_dir) as ledger:
                totals = ledger.totals()
                assert (totals.dropped, totals.dead_letters) == (0, 0)
                assert totals.decisions >= 21
                decided = [record.decision_id for _, record in ledger.decisions()]

            # What the nodes decided with the release of then is made again to the byte, while they run another one.
            assert {(replay.identical, replay.missing) for replay in replay_decisions(shop.hub_dir, decided)} == {
                (True, ())
            }
            assert shop.run("replay", decided[-1])["bundle_version"] == 1
            explained = shop.run("explain", decided[-1])
            assert explained["causes"] == "decided again"
            assert [item["why"] for item in explained["placements"]["home_hero"]["items"]]

            shop.run("release", "rollback")
            until(lambda: version(one) == version(two) == 1)
            assert (one.stop(), two.stop()) == (0, 0)
