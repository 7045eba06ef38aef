"""Runs the probes one after the other, and says of each how the node took it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from edge.testing.probes.framing import framing_probes, second_request
from edge.testing.probes.oversize import Oversize, body_probes, head_probes
from edge.testing.probes.slow import SlowTold, hold_slow, slow_kinds
from edge.testing.probes.wire import Seen, Target, exchange

ProbeKind = Literal["framing", "head", "body", "reader"]
PATIENCE_S: Final = 15.0
SETTLES_S: Final = 1.0
"""A node that has answered a probe and means to close does so at once."""
READER_PATIENCE_S: Final = 2.0
UNREAD_AT_ONCE: Final = 40
MOST_UNREAD_BYTES: Final = 40 << 20
"""Of requests whose answers nobody reads. Kernels buffer some megabytes on both sides, and a node may read on for a
while without answering, so that its refusal is not lost in a reset."""
_PADDING: Final = b"X: " + b"y" * 8_000 + b"\r\n"
GRACE_S: Final = 1.5
_ALIVE: Final = 200


class ProbeTold(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the node took one probe."""

    kind: ProbeKind
    name: str
    status: int | None
    """Of the first answer; null: it closed without one."""
    closed: bool
    second_served: bool
    """Whether the request behind a refused one was answered: must be never."""
    seconds: float
    passed: bool
    sent_bytes: int = 0


class Report(msgspec.Struct, frozen=True):
    """All probes of one run."""

    url: str
    probes: list[ProbeTold]
    slow: list[SlowTold]
    alive_afterwards: bool
    passed: bool


async def probe_all(
    url: str,
    *,
    slow_sockets: int = 0,
    head_s: float = 5.0,
    body_s: float = 10.0,
    write_key: str = "demo",
    settles_s: float = SETTLES_S,
) -> Report:
    """Run every probe against the node at `url`.

    `slow_sockets` is how many slow clients of all kinds together, `settles_s` how long a node that has answered is
    listened to.

    Raises:
        InputError: `url` is none.
        OSError: nobody answers there.
    """
    target = Target.parse(url)
    bodies = body_probes(target, write_key=write_key)
    probes = [await _framing(target, name, data, settles_s) for name, data in framing_probes(target).items()]
    probes += [await _oversize(target, "head", probe, settles_s) for probe in head_probes(target)]
    probes += [await _oversize(target, "body", probe, settles_s) for probe in bodies]
    probes.append(await _never_reading(target))
    slow = await _slow(target, slow_sockets, head_s=head_s, body_s=body_s)
    alive = await exchange(target, [_last_request(target)], patience_s=PATIENCE_S, settles_s=PATIENCE_S)
    is_alive = alive.statuses == (_ALIVE,)
    passed = is_alive and all(told.passed for told in probes) and all(told.passed for told in slow)
    return Report(url, probes, slow, is_alive, passed)


async def _framing(target: Target, name: str, data: bytes, settles_s: float) -> ProbeTold:
    seen = await exchange(target, [data + second_request(target)], patience_s=PATIENCE_S, settles_s=settles_s)
    passed = seen.is_closed and len(seen.statuses) <= 1 and all(_is_refusal(status) for status in seen.statuses)
    return _told("framing", name, seen, passed=passed)


async def _oversize(target: Target, kind: ProbeKind, probe: Oversize, settles_s: float) -> ProbeTold:
    def parts() -> Iterator[bytes]:
        yield from probe.parts()
        if kind == "head":  # nothing stands behind a body, which does not have to cost its connection
            yield second_request(target)

    seen = await exchange(target, parts(), patience_s=PATIENCE_S, settles_s=settles_s)
    first = seen.statuses[0] if seen.statuses else None
    passed = len(seen.statuses) <= 1 and (first in probe.statuses or (first is None and probe.may_close))
    if probe.may_close:
        passed = passed and seen.is_closed
    return _told(kind, probe.name, seen, passed=passed)


async def _never_reading(target: Target) -> ProbeTold:
    """Requests without end, of which no answer is read: the node must stop listening, or close."""
    loop = asyncio.get_running_loop()
    piece = b"GET /openapi.json HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target.authority, _PADDING) * UNREAD_AT_ONCE
    began, sent, is_closed = loop.time(), 0, False
    reader, writer = await target.connect()
    try:
        while sent <= MOST_UNREAD_BYTES:
            writer.write(piece)
            async with asyncio.timeout(READER_PATIENCE_S):
                await writer.drain()
            sent += len(piece)
    except TimeoutError:
        pass
    except OSError:
        is_closed = True
    finally:
        writer.transport.abort()
    del reader  # asyncio reads into it up to its limit, and no further
    return ProbeTold(
        kind="reader",
        name="a client who never reads",
        status=None,
        closed=is_closed,
        second_served=False,
        seconds=round(loop.time() - began, 3),
        passed=sent <= MOST_UNREAD_BYTES,
        sent_bytes=sent,
    )


async def _slow(target: Target, sockets: int, *, head_s: float, body_s: float) -> list[SlowTold]:
    if not sockets:
        return []
    kinds = slow_kinds(target, head_s=head_s, body_s=body_s)
    patience_s = max(head_s, body_s) + 2 * GRACE_S
    share = -(-sockets // len(kinds))
    async with asyncio.TaskGroup() as group:
        held = [
            group.create_task(hold_slow(target, kind, sockets=share, patience_s=patience_s, grace_s=GRACE_S))
            for kind in kinds
        ]
    return [told.result() for told in held]


def _is_refusal(status: int) -> bool:
    return 400 <= status < 500  # noqa: PLR2004  # the client's fault


def _told(kind: ProbeKind, name: str, seen: Seen, *, passed: bool) -> ProbeTold:
    first = seen.statuses[0] if seen.statuses else None
    return ProbeTold(
        kind=kind,
        name=name,
        status=first,
        closed=seen.is_closed,
        second_served=len(seen.statuses) > 1,
        seconds=round(seen.seconds, 3),
        passed=passed,
        sent_bytes=seen.sent_bytes,
    )


def _last_request(target: Target) -> bytes:
    return b"GET /health/live HTTP/1.1\r\nHost: " + target.authority + b"\r\nConnection: close\r\n\r\n"
