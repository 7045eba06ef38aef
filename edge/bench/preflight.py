"""Before anything is measured: is the node there, does it take such requests, does it know its known visitors?"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

import msgspec

from edge.bench.answers import WrongAnswerError, detail_of, read_success
from edge.bench.generator import Generator
from edge.bench.http1 import Reply, Target, get_request
from edge.bench.machine import Node
from edge.bench.visits import Ask, Visits
from edgewise.errors import EdgewiseError, InputError, UnavailableError

PRIMING_AT_ONCE: Final = 4


async def look_at(generator: Generator, target: Target) -> Node | None:
    """What the node says of itself; None when it does not, as to strangers."""
    try:
        reply = await generator.ask_once(Ask("", "", get_request(target, "/status")))
        return msgspec.json.decode(reply.body, type=Node) if reply.status == HTTPStatus.OK else None
    except (ConnectionError, TimeoutError, msgspec.DecodeError):
        return None


async def probe(generator: Generator, target: Target, visits: Visits, node: Node | None) -> None:
    """Try each kind of request once, so that a wrong profile is told in a sentence and not as 100 % errors.

    Raises:
        InputError: the node refuses one.
        UnavailableError: it does not answer, or cannot.
    """
    for ask in visits.probes():
        try:
            reply = await generator.ask_once(ask)
        except (ConnectionError, TimeoutError) as failed:
            raise UnavailableError(f"{target.url}: {str(failed) or 'no answer in time'}") from failed
        if reply.status != HTTPStatus.OK:
            raise _refusal(ask, reply, target, node)


def _refusal(ask: Ask, reply: Reply, target: Target, node: Node | None) -> EdgewiseError:
    path = ask.data.split(b" ", 2)[1].decode("latin-1")
    said = f"{target.url}: {path} answers {reply.status}: {detail_of(reply.body) or 'no reason given'}"
    if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return InputError(f"{said}; the site's write key is given with --write-key")
    if reply.status == HTTPStatus.NOT_FOUND and node is not None and node.placements:
        known = ", ".join(node.placements)
        return InputError(f"{said}; the node has {known}: a profile that asks for these is given with --profile FILE")
    return (UnavailableError if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR else InputError)(said)


async def prime(generator: Generator, visits: Visits) -> str | None:
    """Tell the node what known visitors did before; a warning when it did not take it all."""
    batches = visits.history()
    failed: set[str] = set()

    async def tell() -> None:
        for ask in batches:
            try:
                reply = await generator.ask_once(ask)
                read_success(reply.status, reply.body)
            except (ConnectionError, TimeoutError, WrongAnswerError) as wrong:
                failed.add(str(wrong) or "no answer in time")

    await asyncio.gather(*(tell() for _ in range(min(PRIMING_AT_ONCE, generator.fleet.open_count))))
    if not failed:
        return None
    return f"history of known visitors was not all taken ({min(failed)}): some of them are strangers to the node"
