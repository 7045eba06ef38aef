"""P10: events that a hub stores for good in a second, and how soon a thousand watchers are offered a release.

The hub has all cores; what sends to it shares them, and costs little: its requests are made before the clock starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any, Final

import grpc
import msgspec
import numpy as np
from hub_records import ALL, NOW_MS
from processes import ask

from edgewise.ids import BundleVersion, ItemId, MessageId, NodeId, SubjectId, producer, ulid
from edgewise.records import EventRecord, Touch, encode_record
from edgewise.seal import sealed
from edgewise.v1 import distribution_pb2 as distribution
from edgewise.v1 import uplink_pb2 as uplink
from edgewise.v1.distribution_pb2_grpc import DistributionStub
from figures import shop
from figures.cores import on_cores
from figures.figure import Bound, Measured, Row, judge
from figures.ground import Ground
from figures.processor import meter_of
from figures.stage import Hub
from hub.release.repository import Repository

STORED: Final = Bound(20_000.0, 50_000.0, "events/s", at_least=True)
OFFERED: Final = Bound(2_000.0, 1_000.0, "ms", aim_of="5,000 watchers")
STREAMS: Final = 8
BATCH: Final = 500
"""Events of one request, as a node sends when it has as many."""
PEOPLE: Final = 20_000
ITEMS: Final = 1_000
EVENTS: Final = 160_000
QUICK_EVENTS: Final = 48_000
WARM: Final = 0.25
"""Of the events, before the clock starts."""
WATCHERS: Final = 1_000
AIMED: Final = 5_000
WAIT_S: Final = 120.0
OPENED_AT_ONCE: Final = 100
_REPORT: Final = "/edgewise.v1.Uplink/Report"
_BODY: Final = msgspec.json.encode(
    {
        "type": "track",
        "event": "Product Viewed",
        "context": {"locale": "en-GB", "page": {"path": "/films/the-third-man", "title": "The Third Man"}},
        "properties": {"product_id": "film-1", "category": "drama", "price": 12.5, "currency": "EUR", "position": 3},
    }
)


def measure(ground: Ground) -> Measured:
    """Storing first, on an empty ledger each time; then offering."""
    return Measured([_storing(ground), _offering(ground)])


def _storing(ground: Ground) -> Row:
    stage = ground.stage
    count = QUICK_EVENTS if stage.effort.is_quick else EVENTS
    rates, detail = [], []
    sent = [_requests(node, count // STREAMS) for node in range(STREAMS)]
    for _ in range(stage.effort.runs):
        data_dir = stage.released(shop.build())
        with on_cores(stage.cores.every), stage.hub(data_dir, is_pinned=False) as hub:
            used_s = meter_of(hub.started.process.pid)
            before_s = used_s()
            rates.append(_stored_per_s(hub, sent))
            detail.append({**_told(hub), "cpu_us_each": round(1e6 * (used_s() - before_s) / count, 1)})
    bytes_each = sum(map(len, sent[0])) / (count / STREAMS)
    short = "a profile is folded for every event in the transaction that stores it; one Python process does both"
    what = f"events stored for good through {STREAMS} streams of nodes, {PEOPLE:,} people"
    said = {"events": count, "request_bytes_each": round(bytes_each), "runs": detail}
    return judge("P10", what, STORED, rates, short=short, detail=said)


def _requests(node: int, count: int) -> list[bytes]:
    """A node's history as serialised requests, in its producer's order."""
    draw = np.random.default_rng(node)
    name = NodeId(f"node-{node}")
    people, items = draw.integers(PEOPLE, size=count).tolist(), draw.integers(ITEMS, size=count).tolist()
    payloads = [
        encode_record(
            EventRecord(
                producer=producer(name, 1, 0),
                seq=seq,
                subject=SubjectId(f"{people[seq]:032x}"),
                message_id=MessageId(ulid(NOW_MS + seq, draw.bytes(10))),
                type="track",
                name="Product Viewed",
                time_ms=NOW_MS + seq * 10,
                received_ms=NOW_MS + seq * 10,
                grants=ALL,
                touches=(Touch(ItemId(f"film-{items[seq]}"), dimensions={"category": ("drama",)}),),
                body=_BODY,
            )
        )
        for seq in range(count)
    ]
    return [
        sealed(
            uplink.ReportRequest(node_id=name, epoch=1, worker=0, records=payloads[start : start + BATCH])
        ).SerializeToString()
        for start in range(0, count, BATCH)
    ]


def _stored_per_s(hub: Hub, sent: Sequence[list[bytes]]) -> float:
    """Between the moments at which a quarter, and all, was acknowledged as stored."""
    events = BATCH * sum(map(len, sent))
    with ThreadPoolExecutor(len(sent)) as threads:
        acknowledged = sorted(
            moment for moments in threads.map(lambda one: _report(hub.address, one), sent) for moment in moments
        )
    skipped = int(len(acknowledged) * WARM)
    return events * (1 - WARM) / (acknowledged[-1] - acknowledged[skipped - 1])


def _report(address: str, requests: list[bytes]) -> list[float]:
    """Send all requests on one stream; when each was acknowledged."""
    with grpc.insecure_channel(address, options=_OWN) as channel:
        # the requests are bytes already: what serialising costs here is no cost of the hub
        call: Any = channel.stream_stream(_REPORT, response_deserializer=uplink.ReportResponse.FromString)
        moments, stored = [], -1
        for answer in call(iter(requests), timeout=WAIT_S):
            moments.append(time.perf_counter())
            stored = answer.stored_seq
    assert stored == BATCH * len(requests) - 1, f"stored up to {stored:,} of {BATCH * len(requests):,}"
    return moments


def _told(hub: Hub) -> dict[str, Any]:
    status = ask(f"{hub.admin}/api/v1/summary")
    return {"totals": status["totals"], "storage": status["storage"]}


# --- offers -----------------------------------------------------------------------------------------------------------


def _offering(ground: Ground) -> Row:
    stage = ground.stage
    data_dir = stage.released(shop.build())
    versions = iter(range(2, 100))
    took: dict[int, list[float]] = {WATCHERS: [], AIMED: []}
    with on_cores(stage.cores.every), stage.hub(data_dir, is_pinned=False) as hub:
        for watchers, runs in ((WATCHERS, stage.effort.runs), (AIMED, 0 if stage.effort.is_quick else 1)):
            for _ in range(runs):
                took[watchers].append(asyncio.run(_offers_ms(hub, watchers, next(versions))))
    what = f"release offered to {WATCHERS:,} watchers, p99 from its promotion"
    detail = {"p99_ms": {f"{watchers:,}": [round(ms, 1) for ms in runs] for watchers, runs in took.items()}}
    short = f"median of runs {median(took[WATCHERS]):,.0f} ms"
    return judge("P10", what, OFFERED, took[WATCHERS], short=short, aimed=took[AIMED], detail=detail)


async def _offers_ms(hub: Hub, watchers: int, version: int) -> float:
    """p99 of the time from promoting a release until a watcher holds its offer, each on a connection of its own."""
    built = shop.build(version=version)
    ready = asyncio.Semaphore(0)
    opening = asyncio.Semaphore(OPENED_AT_ONCE)
    async with contextlib.AsyncExitStack() as stack:
        waiting = [
            asyncio.create_task(_offered(hub.address, number, version, ready, opening, stack))
            for number in range(watchers)
        ]
        async with asyncio.timeout(WAIT_S):
            for _ in range(watchers):
                await ready.acquire()
            Repository(hub.data_dir).publish_release(built.manifest_bytes, built.resources)
            promoted_s = await asyncio.to_thread(_promote, hub, version)
            moments = await asyncio.gather(*waiting)
    return 1_000 * float(np.quantile(np.array(moments) - promoted_s, 0.99))


def _promote(hub: Hub, version: int) -> float:
    began_s = time.perf_counter()
    Repository(hub.data_dir).assign(BundleVersion(version))
    return began_s


async def _offered(  # noqa: PLR0917  # called in one place
    address: str,
    number: int,
    version: int,
    ready: asyncio.Semaphore,
    opening: asyncio.Semaphore,
    stack: contextlib.AsyncExitStack,
) -> float:
    """Watch as a node that has the release before; when the new one was offered."""
    async with opening:
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, options=_OWN))
        watch = DistributionStub(channel).Watch()  # type: ignore[no-untyped-call]
        hello = distribution.Hello(
            node_id=f"watcher-{number}", protocol_version=1, bundle_version=version - 1, bundle_digest="d" * 64
        )
        await watch.write(distribution.WatchRequest(hello=hello))
        await watch.read()
    ready.release()
    while True:
        said = await watch.read()
        if said.HasField("offer") and said.offer.bundle_version == version:
            moment = time.perf_counter()
            ack = distribution.Ack(nonce=said.offer.nonce, bundle_version=version, bundle_digest="d" * 64)
            await watch.write(distribution.WatchRequest(ack=ack))
            return moment


_OWN: Final = (("grpc.use_local_subchannel_pool", 1),)
"""A connection of its own for each channel: those of one process to one address would share one."""
