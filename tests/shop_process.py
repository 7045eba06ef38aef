"""A shop as people run it: a site, a hub and nodes, each a process of its own."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from processes import Started, ask, edgewise, until

from edgewise.cli import main
from hub.ledger.ledger import open_ledger

ITEM: Final = "earl-grey"


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
        by = ("--by", "tester") if words[0] in {"site", "release", "facts"} else ()
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
    def node(self, name: str, hub: str, *, port: int = 0) -> Iterator[Started]:
        words = ("edge", "serve", "--port", str(port), "--workers", "1", "--data-dir", str(self.folder / name))
        with edgewise(*words, "--hub", hub, "--config", str(self.quick), log=self.folder / f"{name}.log") as node:
            yield node

    def decide(self, node: Started) -> Any:
        # Time enough on a busy machine, too: an answer in time is not what these tests are about.
        body = {"anonymousId": "ann", "placements": [{"name": "home_hero"}], "options": {"deadlineMs": 5_000}}
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

    def send(self, node: Started, method: str, path: str, body: Any, cookie: str, *, status: int = 200) -> Any:
        """Ask as a browser that has this cookie; the answer's JSON."""
        return self._send(node, method, path, body, cookie, status=status)[1]

    def _send(
        self, node: Started, method: str, path: str, body: Any, cookie: str, *, status: int = 200
    ) -> tuple[Message, Any]:
        headers = {**self.headers, "Content-Type": "application/json", "Cookie": cookie}
        with contextlib.closing(HTTPConnection(urlsplit(node.said["url"]).netloc, timeout=10)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        assert answer.status == status, content
        return answer.headers, json.loads(content)

    def stored(self) -> Counter[str]:
        """How often each event is in the ledger, by its message id."""
        with open_ledger(self.hub_dir) as ledger:
            return Counter(event.message_id for _, event in ledger.events())


def version(node: Started) -> int:
    """What all workers of a node serve; 0 for nothing."""
    return int(ask(f"{node.said['url']}/status")["bundle"]["version"])
