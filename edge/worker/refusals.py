"""How a refusal is told where its reader is no program of ours: a page that a fragment goes into, an OpenFeature SDK.

Proxies put whatever a fragment's address answers *into* the page, an error page as well. So under `/v1/fragment/` every
refusal, of whichever layer, is the placement's fallback with status 200; the header `Edgewise-Fallback` says why. Under
`/ofrep/` errors have the shape that the OpenFeature Remote Evaluation Protocol gives them.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec

from edge.worker.desk import Desk
from edge.worker.endpoint import JSON, NO_STORE, PRIVATE
from edge.worker.problems import Answer, Headers, HttpProblem
from edgewise.ids import PlacementName
from edgewise.rendering import render_fallback

FRAGMENTS: Final = "/v1/fragment/"
FLAGS: Final = "/ofrep/v1/evaluate/flags"
HTML: Final = (b"content-type", b"text/html; charset=utf-8")
NO_SNIFF: Final = (b"x-content-type-options", b"nosniff")
MOST_NAME: Final = 200
"""Characters of a placement's name; a longer one is nobody's."""
_ERROR_CODES: Final = {
    "unknown-flag": "FLAG_NOT_FOUND",
    "not-found": "FLAG_NOT_FOUND",
    "no-targeting-key": "TARGETING_KEY_MISSING",
    "context": "INVALID_CONTEXT",
    "invalid": "PARSE_ERROR",
}
"""Of problems that OpenFeature has a name for; every other one is GENERAL."""


class FlagFailure(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What went wrong with a flag, or with all of them, in OFREP's words."""

    error_code: str
    error_details: str
    key: str = ""


class Refusals:
    """Of one worker."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rendered: dict[PlacementName, bytes] = {}
        self._digest: str | None = None
        """Of the bundle that they were rendered with."""

    def __call__(self, path: str, problem: HttpProblem) -> Answer | None:
        """The answer where a refusal is told in another way than as a problem."""
        if path.startswith(FRAGMENTS):
            return self._fragment(path.removeprefix(FRAGMENTS), problem)
        if path.startswith(FLAGS):
            return _flags(path.removeprefix(FLAGS), problem)
        return None

    def _fragment(self, name: str, problem: HttpProblem) -> Answer:
        self._desk.counts.fell_back(problem.code)
        headers: Headers = [HTML, NO_SNIFF, PRIVATE, (b"edgewise-fallback", problem.code.encode())]
        headers += [header for header in problem.headers if header[0] == b"connection"]
        return Answer(HTTPStatus.OK.value, self._fallback(PlacementName(name[:MOST_NAME])), headers)

    def _fallback(self, name: PlacementName) -> bytes:
        """The HTML; of the placements that there are it is rendered once a bundle, because overload asks for it."""
        served = self._desk.live.served
        bundle = None if served is None else served.bundle
        if self._desk.live.digest != self._digest:
            self._rendered, self._digest = {}, self._desk.live.digest
        rendered = self._rendered.get(name)
        if rendered is None:
            rendered = render_fallback(bundle, name).encode(errors="replace")
            if bundle is not None and name in bundle.placements:
                self._rendered[name] = rendered
        return rendered


def _flags(rest: str, problem: HttpProblem) -> Answer:
    code = _ERROR_CODES.get(problem.code, "GENERAL")
    failure = FlagFailure(code, problem.detail, rest.removeprefix("/"))
    return Answer(problem.status.value, msgspec.json.encode(failure), [JSON, NO_STORE, *problem.headers])
