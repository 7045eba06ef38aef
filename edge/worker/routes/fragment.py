"""`GET /v1/fragment/{placement}`: a decided piece of HTML, for SSI, ESI or a script to put into a page.

Never an error page: whatever is wrong raises, and `edge.worker.refusals` answers with the placement's fallback. Private
and kept by nobody, unless the address says `shared=1` and the site allows this placement to be shared: then nothing of
the visitor is looked at, only the fields of the context that the site lists, and proxies may keep it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec

from edge.node.surrogates import key_headers, keys_of
from edge.worker.answers import DecideAnswer, PlacementAnswer
from edge.worker.decider import Decided, Decider
from edge.worker.desk import Desk
from edge.worker.endpoint import PRIVATE, Exchange
from edge.worker.fragment_query import asked_by, asks_shared
from edge.worker.identity import Caller
from edge.worker.live_bundle import Served
from edge.worker.problems import Answer, Headers, HttpProblem
from edge.worker.reception import Reception
from edge.worker.refusals import HTML, NO_SNIFF
from edge.worker.surroundings import Surroundings
from edgewise.bundle.policy import Shared
from edgewise.ids import PlacementName
from edgewise.reasons import Reason
from edgewise.request import DecideRequest

_PASSING: Final = frozenset(
    {Reason.FALLBACK_DEADLINE, Reason.FALLBACK_OVERLOAD, Reason.FALLBACK_SCORER, Reason.FALLBACK_NO_BUNDLE}
)
"""What is shown for want of time, or of a model: the next one who asks may get more."""


class FragmentRoute:
    """Fragments of one worker."""

    def __init__(self, desk: Desk, reception: Reception) -> None:
        self._desk = desk
        self._decider = Decider(desk, reception)
        self._surroundings = Surroundings(desk.settings, desk.log)

    async def get(self, exchange: Exchange) -> Answer:
        """The fragment. Raises whatever is wrong."""
        name = PlacementName(exchange.path["placement"])
        served = self._desk.live.served
        if served is None:
            raise HttpProblem(HTTPStatus.SERVICE_UNAVAILABLE, "no-bundle", "there is nothing to decide with yet")
        if asks_shared(exchange.query):
            return self._shared(exchange, name, served)
        asked = asked_by(name, exchange.query, exchange.headers, is_head=exchange.is_head)
        request = asked.request
        context = self._surroundings.completed(
            request.context, exchange.peer, exchange.headers, self._desk.clock.now_ms()
        )
        if context is not request.context:
            request = msgspec.structs.replace(request, context=context)
        decided = self._decide(exchange, request, exchange.caller, gives_proof=_reaches_browser(exchange))
        placed = decided.answer.placements[name]
        html = _html(placed)
        headers: Headers = [HTML, NO_SNIFF, PRIVATE, *_trace(decided.answer, placed)]
        if decided.proves is not None:
            now_ms = self._desk.clock.now_ms()
            headers.append(self._desk.doorman.cookie(decided.proves, now_ms, secure=exchange.is_secure))
        return Answer(HTTPStatus.OK.value, html, headers)

    def _shared(self, exchange: Exchange, name: PlacementName, served: Served) -> Answer:
        """The fragment that is the same for everybody whose context is the same in the fields that the site lists."""
        catalogued = served.bundle.placements.get(name)
        shared = None if catalogued is None else catalogued.placement.shared
        if shared is None:
            raise HttpProblem(HTTPStatus.FORBIDDEN, "not-shared", f"the site does not share {name!r}; see `shared`")
        asked = asked_by(name, exchange.query, exchange.headers, is_head=exchange.is_head, vary=frozenset(shared.vary))
        decided = self._decide(exchange, asked.request, _nobody(exchange.caller), gives_proof=False)
        placed = decided.answer.placements[name]
        html = _html(placed)
        headers: Headers = [HTML, NO_SNIFF, *_trace(decided.answer, placed)]
        if placed.reason in _PASSING:
            headers.append(PRIVATE)
        else:
            headers.append((b"cache-control", _kept(shared)))
            headers += key_headers(keys_of(name, served.bundle.version, [item.id for item in placed.items]))
        if asked.locale_from_header:
            headers.append((b"vary", b"accept-language"))
        return Answer(HTTPStatus.OK.value, html, headers)

    def _decide(self, exchange: Exchange, request: DecideRequest, caller: Caller, *, gives_proof: bool) -> Decided:
        return self._decider.decide(
            request,
            caller,
            packed=False,
            started_ms=exchange.started_ms,
            waited_ms=exchange.waited_ms,
            gives_proof=gives_proof,
        )


def _html(placed: PlacementAnswer) -> bytes:
    """Raises HttpProblem where nothing of it can be rendered: the fallback is more than an empty place."""
    if placed.html is msgspec.UNSET:
        raise HttpProblem(HTTPStatus.INTERNAL_SERVER_ERROR, "unrenderable", "no template could show what was decided")
    return placed.html.encode(errors="replace")


def _nobody(caller: Caller) -> Caller:
    """The same caller without anything that would tell his visitor from others."""
    return caller._replace(is_operator=False, is_server=False, visitor=None, pseudonym=None, dial=None)


def _reaches_browser(exchange: Exchange) -> bool:
    """Whether a cookie would arrive: a page's own script asks for itself, a proxy's subrequest drops it.

    Subrequests pass on the headers of the page's request, whose destination is a document.
    """
    return exchange.headers.get(b"sec-fetch-dest") == b"empty"


def _trace(answer: DecideAnswer, placed: PlacementAnswer) -> Headers:
    return [(b"edgewise-decision", answer.decision_id.encode()), (b"edgewise-reason", placed.reason.encode())]


def _kept(shared: Shared) -> bytes:
    """For proxies alone: a browser asks again with every page."""
    return b"public, max-age=0, s-maxage=%d" % shared.max_age_s
