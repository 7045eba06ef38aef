"""Real nodes that a stranger asks over HTTP: one of nobody on the starter bundle, one of a site with keys."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from processes import edgewise

from edge.node.keys import SiteKeys, replace_site_keys
from edge.node.layout import NodePaths
from edgewise.cli import main
from edgewise.clock import SystemClock
from edgewise.ids import SiteName
from edgewise.visitor import sign_visitor

ORIGIN = "https://shop.example"
VISITOR_KEY = b"visitor-key-of-kettle-and-bean!!"
CHANGES = {
    "default_consent:\n  personalisation: granted\n  analytics: granted\n": "",
    "origins: []": f"origins: [{ORIGIN}]",
}
"""The site is silent about consent, and one other origin may ask."""


class Node(NamedTuple):
    """A node that answers. Every request is a stranger's: cookies are sent only where a test says so."""

    http: httpx2.Client
    write_key: str

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """One request; `auth` is a write or server key for Basic authentication."""
        self.http.cookies.clear()
        if isinstance(options.get("auth"), str):
            options["auth"] = (options["auth"], "")
        return self.http.request(method, path, **options)

    def decide(self, *names: str, visitor: str | None = None, **fields: Any) -> httpx2.Response:
        """`POST /v1/decide` with the write key; patient, because other tests keep the machine busy."""
        headers = fields.pop("headers", None)
        fields["options"] = {"deadlineMs": 5_000, **fields.get("options", {})}
        body = {"placements": [{"name": name} for name in names or ("home_hero",)], **fields}
        if visitor is not None:
            body["anonymousId"] = visitor
        return self.ask("POST", "/v1/decide", json=body, headers=headers, auth=self.write_key)

    def track(self, visitor: str, event: str, properties: dict[str, Any], **fields: Any) -> httpx2.Response:
        """`POST /v1/track` with the write key."""
        body = {"anonymousId": visitor, "event": event, "properties": properties, **fields}
        return self.ask("POST", "/v1/track", json=body, auth=self.write_key)


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def proof(visitor: str) -> str:
    """The token that the site signs for a visitor whom it knows."""
    return sign_visitor(VISITOR_KEY, visitor, SystemClock().now_ms())


def run(*words: str) -> Any:
    """A command that must succeed, run in this process to save its start; its JSON."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    assert ended.value.code == 0, said.getvalue()
    return json.loads(said.getvalue())


@contextmanager
def starter_node(folder: Path) -> Iterator[Node]:
    """As `edgewise edge serve` starts for somebody who has nothing yet: two workers, the starter bundle."""
    with (
        edgewise("edge", "serve", "--port", "0", "--data-dir", str(folder / "node"), log=folder / "log") as node,
        httpx2.Client(base_url=node.said["url"], timeout=20) as http,
    ):
        yield Node(http, "demo")


@contextmanager
def shop_node(folder: Path) -> Iterator[Node]:
    """A node that belongs to a site: a write key of its own, an allowed origin, operator and server keys."""
    hub, site, settings = folder / "hub", folder / "site", folder / "edge.toml"
    made = run("site", "init", str(site), "--data-dir", str(hub), "--by", "ann")
    policy = (site / "site.yaml").read_text()
    for old, new in CHANGES.items():
        assert old in policy
        policy = policy.replace(old, new)
    (site / "site.yaml").write_text(policy)
    run("site", "apply", str(site), "--data-dir", str(hub), "--by", "ann")
    settings.write_text(
        f'operator_keys_sha256 = ["{sha256("operator")}"]\nserver_keys_sha256 = ["{sha256("server")}"]\n'
        "loopback_is_operator = true\n"
    )
    paths = NodePaths(folder / "node")
    paths.create()
    # What the hub hands to its nodes at their enrolment.
    replace_site_keys(paths, SiteKeys(SiteName("kettle-and-bean"), b"subject-key-of-kettle-and-bean!!", VISITOR_KEY))
    words = ("edge", "serve", "--port", "0", "--workers", "1", "--data-dir", str(paths.root))
    with (
        edgewise(
            *words, "--bundle", str(hub / "candidates" / "1"), "--config", str(settings), log=folder / "log"
        ) as node,
        httpx2.Client(base_url=node.said["url"], timeout=20) as http,
    ):
        yield Node(http, made["write_key"])
