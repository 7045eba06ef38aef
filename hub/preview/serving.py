"""A preview that is made anew at each reload, on this machine alone: edit a template, reload, see.

Only requests that name this machine are answered, so that no page of elsewhere can read a visitor's preview through a
name that it lets point here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from typing_extensions import override

from edgewise.errors import EdgewiseError, InputError, UnavailableError

HOST: Final = "127.0.0.1"
_OURS: Final = frozenset({"127.0.0.1", "localhost"})
_MOST_QUERY: Final = 4_096

Show = Callable[[Mapping[str, str]], str]
"""What the address asks for -> the page. May raise EdgewiseError."""


def preview_server(port: int, show: Show) -> HTTPServer:
    """A server on loopback that answers `/`, one request at a time; `port` 0: any. To be run by `serve_forever`.

    Raises UnavailableError when the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        server_version = "edgewise-preview"
        sys_version = ""
        timeout = 10

        def do_GET(self) -> None:
            """One page."""
            if (self.headers.get("host") or "").rpartition(":")[0] not in _OURS:
                self._send(HTTPStatus.FORBIDDEN, _said("this preview answers 127.0.0.1 and localhost alone"))
                return
            address = urlsplit(self.path[:_MOST_QUERY])
            if address.path != "/":
                self._send(HTTPStatus.NOT_FOUND, _said("there is nothing here but the preview at /"))
                return
            try:
                self._send(HTTPStatus.OK, show(dict(parse_qsl(address.query))))
            except EdgewiseError as wrong:
                problems = wrong.problems if isinstance(wrong, InputError) else ()
                said = [str(wrong), *(f"{problem.path}: {problem.message}" for problem in problems)]
                self._send(HTTPStatus.UNPROCESSABLE_ENTITY, _said(*said))

        def _send(self, status: HTTPStatus, page: str) -> None:
            body = page.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: addresses may name visitors."""

    try:
        return HTTPServer((HOST, port), Handler)
    except OSError as taken:
        raise UnavailableError(f"cannot serve the preview on port {port}: {taken}; name another with --port") from taken


def _said(*lines: str) -> str:
    told = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Preview</title><ul>{told}</ul></html>'
