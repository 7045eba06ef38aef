"""A mix turned into bytes: each request is put together from parts that were encoded ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from edge.bench.answers import Decided
from edge.bench.http1 import Target, request_head
from edge.bench.mix import Click, Decide, Mix, View
from edgewise.request import Context

VARIANTS: Final = 64
"""Bodies made ahead for each kind of decision, with other contexts and candidates."""
CHUNK: Final = 1_024
INVENTED_ITEMS: Final = 1_000
BATCH: Final = 100
"""Events of history in one request."""
REMEMBERED: Final = 4_096
"""Decisions that may still be clicked."""

DECIDE: Final = "decide"
TRACK: Final = "track"


class Ask(NamedTuple):
    """One request, ready to be sent."""

    kind: str
    """`decide` or `track`."""
    visitor: str
    data: bytes


class _Shown(NamedTuple):
    visitor: str
    decision: str
    placement: str
    item: str


class Visits:
    """Endless requests of a mix. The same `draw` makes the same visitors ask the same in the same order."""

    def __init__(self, mix: Mix, target: Target, draw: np.random.Generator, *, run: str, write_key: str | None) -> None:
        """`run` is a word of 12 characters that no other run uses: nobody new has been seen before."""
        self._mix = mix
        self._draw = draw
        self._run = run
        self._new = 0
        self._messages = 0
        self._shown: deque[_Shown] = deque(maxlen=REMEMBERED)
        self._items = mix.items or [f"bench-item-{number}" for number in range(INVENTED_ITEMS)]
        self._quoted = [_json(item) for item in self._items]
        self._track = request_head(target, "/v1/track", write_key)
        self._batch = request_head(target, "/v1/batch", write_key)
        decide = request_head(target, "/v1/decide", write_key)
        self._bodies = [
            [self._decision(decide, request) for _ in range(VARIANTS)] if isinstance(request, Decide) else []
            for request in mix.requests
        ]
        self._events = [_json(request.event) if not isinstance(request, Decide) else "" for request in mix.requests]
        self._drawn = self._draws()

    def next(self) -> Ask:
        """The next request."""
        place, is_new, number, variant = next(self._drawn)
        if is_new:
            self._new += 1
            visitor = f"{self._run[:5]}-{self._new:08d}"
        else:
            visitor = known(number)
        request = self._mix.requests[place]
        if isinstance(request, Decide):
            front, back = self._bodies[place][variant % VARIANTS]
            return Ask(DECIDE, visitor, b"".join((front, visitor.encode(), back)))
        if isinstance(request, Click) and self._shown:
            return self._click(self._events[place], self._shown.popleft())
        event = self._events[place] if isinstance(request, View) else '"Product Viewed"'
        properties = f'{{"product_id":{self._quoted[variant % len(self._quoted)]}}}'
        return self._tracked(visitor, event, properties)

    def learn(self, visitor: str, decided: Decided) -> None:
        """Remember what was shown, for clicks."""
        for placement, shown in decided.placements.items():
            if shown.items:
                self._shown.append(_Shown(visitor, decided.decision_id, placement, shown.items[0].id))

    def probes(self) -> list[Ask]:
        """One request of each kind, to be tried before anything is measured."""
        visitor = known(0)
        asks = [
            Ask(DECIDE, visitor, bodies[0][0] + visitor.encode() + bodies[0][1]) for bodies in self._bodies if bodies
        ]
        if any(self._events):
            asks.append(self._tracked(visitor, '"Product Viewed"', f'{{"product_id":{self._quoted[0]}}}'))
        return asks

    def history(self) -> Iterator[Ask]:
        """What known visitors did before; the same in every run, so that a second run adds nothing within a day."""
        visitors = self._mix.visitors
        quoted = self._quoted
        calls = (
            f'{{"type":"track","anonymousId":"{known(number)}","messageId":"history-{number}-{view}",'
            f'"event":"Product Viewed","properties":{{"product_id":{quoted[(number + view) % len(quoted)]}}}}}'
            for number in range(visitors.returning)
            for view in range(visitors.history)
        )
        while batch := [call for call, _ in zip(calls, range(BATCH), strict=False)]:
            yield self._posted(self._batch, known(0), f'{{"batch":[{",".join(batch)}]}}')

    def _decision(self, head: bytes, request: Decide) -> tuple[bytes, bytes]:
        """A body with a gap for the visitor, whose name always has the same length."""
        rest: dict[str, Any] = {"placements": [self._placement(placement) for placement in request.placements]}
        if self._mix.contexts:
            context: Context = self._mix.contexts[int(self._draw.integers(len(self._mix.contexts)))]
            rest["context"] = context
        if request.explain:
            rest["options"] = {"explain": True}
        back = b'",' + msgspec.json.encode(rest)[1:]
        opening = b'{"anonymousId":"'
        size = len(opening) + len(known(0)) + len(back)
        return b"%b%d\r\n\r\n%b" % (head, size, opening), back

    def _placement(self, placement: Any) -> dict[str, Any]:
        asked: dict[str, Any] = {"name": placement.name}
        if placement.count is not None:
            asked["count"] = placement.count
        if placement.candidates:
            names = self._items
            if len(names) < placement.candidates:
                names = [*names, *(f"bench-item-{n}" for n in range(placement.candidates - len(names)))]
            chosen = self._draw.permutation(len(names))[: placement.candidates].tolist()
            asked["candidates"] = [{"id": names[n], "attributes": placement.attributes} for n in chosen]
        return asked

    def _click(self, event: str, shown: _Shown) -> Ask:
        said = {"decisionId": shown.decision, "placement": shown.placement, "itemId": shown.item}
        return self._tracked(shown.visitor, event, _json(said))

    def _tracked(self, visitor: str, event: str, properties: str) -> Ask:
        self._messages += 1
        body = (
            f'{{"anonymousId":"{visitor}","messageId":"{self._run}-{self._messages}",'
            f'"event":{event},"properties":{properties}}}'
        )
        return self._posted(self._track, visitor, body)

    def _posted(self, head: bytes, visitor: str, body: str) -> Ask:
        encoded = body.encode()
        return Ask(TRACK, visitor, b"%b%d\r\n\r\n%b" % (head, len(encoded), encoded))

    def _draws(self) -> Iterator[tuple[int, bool, int, int]]:
        shares = np.array([request.share for request in self._mix.requests])
        visitors = self._mix.visitors
        while True:
            yield from zip(
                self._draw.choice(len(shares), CHUNK, p=shares / shares.sum()).tolist(),
                (self._draw.random(CHUNK) < visitors.new).tolist(),
                self._draw.integers(visitors.returning, size=CHUNK).tolist(),
                self._draw.integers(1 << 20, size=CHUNK).tolist(),
                strict=True,
            )


def known(number: int) -> str:
    """The anonymous id of a returning visitor: the same in every run."""
    return f"known-{number:08d}"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
