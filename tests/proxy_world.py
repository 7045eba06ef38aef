"""A shop behind real nginx and real Varnish, run with the recipes of `deploy/` as they stand, but for addresses.

Two visitors whom an edge node can tell apart, and a page with a fragment of each one's own and one that all share.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

import msgspec
from edge_world import KEYS, bundle_files, install
from needs import lacking
from processes import Started, ask, edgewise, until
from typing_extensions import override
from world import FILMS, item, placement, policy

from edge.node.keys import replace_site_keys
from edge.node.layout import NodePaths
from edgewise.bundle.catalogue import Catalogue, content_sha256, encode_catalogue
from edgewise.bundle.policy import Compare, Policy, Shared
from edgewise.clock import SystemClock
from edgewise.ids import PlacementName
from edgewise.visitor import sign_visitor

DEPLOY: Final = Path(__file__).parents[1] / "deploy"
GREETING: Final = PlacementName("greeting")
"""One visitor's own."""
FOOTER: Final = PlacementName("footer")
"""May be shared."""
VISITORS: Final = ("ann", "bob")
SSI: Final = (
    '<!--# block name="none" -->the default of the page<!--# endblock -->'
    '<!--# include virtual="/v1/fragment/greeting?deadlineMs=5000" -->'
    '<!--# include virtual="/v1/fragment/footer?shared=1&deadlineMs=5000" stub="none" -->'
    '<!--# include virtual="/v1/fragment/greeting?count=1&deadlineMs=5000" -->'
)
ESI: Final = (
    '<esi:include src="/v1/fragment/greeting?deadlineMs=5000"/>'
    '<esi:include src="/v1/fragment/footer?shared=1&deadlineMs=5000"/>'
    '<esi:include src="/v1/fragment/greeting?count=1&deadlineMs=5000"/>'
)
FALLBACK: Final = "a fallback from a file"


def two_visitors() -> Policy:
    """Each item of the greeting belongs to one visitor; who is nobody's gets film 20."""
    own = placement(eligibility=[Compare("profile.traits.team", "eq", "$item.owner")])
    return policy({GREETING: own, FOOTER: placement(shared=Shared(max_age_s=60))})


def _items() -> Catalogue:
    made = []
    for number in range(len(FILMS)):
        owner = VISITORS[number % 2]
        content = {"title": f"of {owner}" if number != 20 else "of nobody"}
        approved = {"content": content, "approved_sha256": content_sha256(content)}
        made.append(msgspec.structs.replace(item(number, owner=owner), **approved))
    return Catalogue(made)


class Visitor(NamedTuple):
    """Somebody with a cookie that proves him."""

    name: str
    cookie: str


@contextlib.contextmanager
def node_of_two(folder: Path) -> Iterator[tuple[Started, tuple[Visitor, ...]]]:
    """A node that knows both visitors."""
    paths = NodePaths(folder / "node")
    install(paths, bundle_files(two_visitors(), catalogue=encode_catalogue(_items())))
    replace_site_keys(paths, KEYS)
    # Other tests keep the machine busy; whoever is only made to wait must not get less here.
    (folder / "edge.toml").write_text("queue_delay_target_ms = 5000.0\nqueue_delay_most_ms = 5000.0\n")
    words = ["edge", "serve", "--port", "0", "--workers", "1", "--data-dir", str(paths.root)]
    with edgewise(*words, "--config", str(folder / "edge.toml"), log=folder / "node.log") as node:
        visitors = []
        for name in VISITORS:
            token = sign_visitor(KEYS.visitor_key, name, SystemClock().now_ms())
            call = {"anonymousId": name, "traits": {"team": name}, "type": "identify"}
            ask(f"{node.said['url']}/v1/identify", call, headers={"Authorization": "Basic ZGVtbzo="})
            visitors.append(Visitor(name, f"theme=dark; ew_id={token}; cart=7"))
        yield node, tuple(visitors)


# --- the shop ---------------------------------------------------------------------------------------------------------
class Shop(BaseHTTPRequestHandler):
    """Pages that proxies fill: `/ssi`, `/esi`, and what a cache might keep."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    """One write an answer: two would wait for each other (Nagle's algorithm)."""

    def do_GET(self) -> None:
        """A page, which says that anybody may keep it."""
        parts = ESI if self.path.startswith("/esi") else SSI
        page = f"<html><body>{parts}</body></html>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Cache-Control", "public, max-age=600")
        self.send_header("ETag", '"page"')
        if self.path.startswith("/esi"):
            self.send_header("Surrogate-Control", 'content="ESI/1.0"')
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def do_POST(self) -> None:
        """The same page, as the answer to a form."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    @override
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """A server of a test's own; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Edge(BaseHTTPRequestHandler):
    """A node that misbehaves as the test says; its probes are always content."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    mode: ClassVar[str] = "well"
    patience: ClassVar[threading.Event] = threading.Event()
    """A hanging answer waits for it."""

    def do_GET(self) -> None:
        """As `mode` says."""
        if self.path == "/health/ready" or self.mode == "well":
            self._say(200, b"from the node")
        elif self.mode.isdigit():
            self._say(int(self.mode), b"<h1>an error page</h1>")
        elif self.mode == "hangs":
            self.patience.wait(20)
            self.close_connection = True
        elif self.mode == "resets":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif self.mode == "garbage":
            self.wfile.write(b"\x00\xff what is this\r\n\r\n")
            self.close_connection = True

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Cache-Control", "private, no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


# --- the proxies ------------------------------------------------------------------------------------------------------
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def nginx(folder: Path, *, edge: int, shop: int) -> Iterator[str]:
    """Nginx with the recipe of `deploy/nginx`; its URL."""
    program, port = _program("nginx"), free_port()
    changes = {
        "server 127.0.0.1:8090;": f"server 127.0.0.1:{edge};",
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{shop};",
        "listen 80;": f"listen 127.0.0.1:{port};",
        "/var/cache/nginx/edgewise": str(folder / "cache"),
        "root /var/lib/edgewise-fallbacks;": f"root {folder / 'fallbacks'};",
        "/etc/nginx/edgewise-visitors.conf": str(DEPLOY / "nginx" / "edgewise-visitors.conf"),
    }
    (folder / "edgewise.conf").write_text(_changed(DEPLOY / "nginx" / "edgewise.conf", changes))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"user root; daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;"
        "events { worker_connections 512; } http { include /etc/nginx/mime.types; access_log off;"
        f"{temporary} include {folder}/edgewise.conf; }}"
    )
    _write_fallbacks(folder / "fallbacks")
    with _running([program, "-p", str(folder), "-c", str(folder / "nginx.conf")], port, folder):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def varnish(folder: Path, *, edge: int, shop: int) -> Iterator[str]:
    """Varnish with the recipe of `deploy/varnish`; its URL."""
    program, port = _program("varnishd"), free_port()
    changes = {
        '.port = "8090";': f'.port = "{edge}";',
        '.port = "8000";': f'.port = "{shop}";',
        "/var/lib/edgewise-fallbacks": str(folder / "fallbacks"),
    }
    (folder / "edgewise.vcl").write_text(_changed(DEPLOY / "varnish" / "edgewise.vcl", changes))
    _write_fallbacks(folder / "fallbacks")
    words = ["-F", "-j", "none", "-a", f"127.0.0.1:{port}", "-f", str(folder / "edgewise.vcl")]
    words += ["-n", str(folder / "n"), "-s", "malloc,32m", "-p", "thread_pools=1", "-p", "thread_pool_min=20"]
    with _running([program, *words], port, folder):
        yield f"http://127.0.0.1:{port}"


PROXIES: Final[dict[str, Callable[..., contextlib.AbstractContextManager[str]]]] = {"ssi": nginx, "esi": varnish}
"""By the page of the shop that is theirs."""


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        lacking(f"no {name} on PATH; `make tools` installs Debian's")
    return found


def _changed(path: Path, changes: dict[str, str]) -> str:
    text = path.read_text()
    for old, new in changes.items():
        assert old in text, (path, old)
        text = text.replace(old, new)
    return text


def _write_fallbacks(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{GREETING}.html").write_text(f'<div data-edgewise-placement="greeting">{FALLBACK}</div>')


@contextlib.contextmanager
def _running(words: Sequence[str], port: int, folder: Path) -> Iterator[None]:
    with (folder / "proxy.log").open("ab") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        until(lambda: process.poll() is not None or _listens(port))
        assert process.poll() is None, (folder / "proxy.log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0
