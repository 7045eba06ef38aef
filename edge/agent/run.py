"""The agent process of a node: `python -m edge.agent.run --settings JSON`. The only one that speaks gRPC.

    watch         offers of releases, their installation, ACK and NACK; live facts beside them
    uplink        the spool to the hub, exactly once
    profiles      snapshots of the visitors that this node caches
    purging       what a proxy has kept and is not true any more, where there is one
    codes         numbers of promotion codes that this node may give out

One event loop, one connection, four streams. Started by the supervisor, and only when there is a hub.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc
import msgspec
import numpy as np

from edge.agent.codes_feed import CodesFeed
from edge.agent.facts_feed import FactsFeed
from edge.agent.fetch import HubFetcher
from edge.agent.install import Installer
from edge.agent.link import Link
from edge.agent.profile_sync import ProfileSync
from edge.agent.purging import Purging, asker
from edge.agent.state import AgentState
from edge.agent.trial_process import TrialProcess
from edge.agent.uplink import Uplink
from edge.agent.watch import Watch
from edge.backoff import Backoff, pause
from edge.codes.stock_file import StockFile
from edge.log import Log, start_log
from edge.node.claims import hold_file
from edge.node.doorbell import Doorbell
from edge.node.enrolment import ENROLLED, checked, is_enrolled, kept_token, take_over
from edge.node.epochs import node_id
from edge.node.keys import load_site_keys
from edge.node.status import INTERVAL_MS
from edge.node.trust import fingerprint, metadata_expires_ms, pinned_root
from edge.profiles.cache import ProfileCache
from edge.settings import ENROL_TOKEN, EdgeSettings, decode_settings
from edgewise.clock import Clock, SystemClock
from edgewise.errors import EdgewiseError
from edgewise.ids import NodeId
from edgewise.v1.distribution_pb2 import EnrolRequest, EnrolResponse
from edgewise.v1.distribution_pb2_grpc import DistributionStub

LAST_SHIPMENT_S: Final = 2.0
"""How long the agent goes on shipping after it was told to stop."""
ENROL_TIMEOUT_S: Final = 10.0
INCARNATION_BYTES: Final = 16
"""Of what a start of the agent is called: no copy of the folder ever has the same."""


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM; exit 0 then, ENROLLED after a first enrolment, 1 when something is broken."""
    parser = argparse.ArgumentParser(prog="python -m edge.agent.run")
    parser.add_argument("--settings", required=True, help="JSON, as the supervisor writes it")
    handed = decode_settings(parser.parse_args(arguments).settings)
    token = os.environ.get(ENROL_TOKEN, "") or kept_token(handed.paths)
    settings = msgspec.structs.replace(handed, enrol_token=token)
    log = start_log("agent", settings.log_level)
    # An agent of a supervisor that was killed may still be draining: two would share one doorbell and one TUF cache.
    with hold_file(settings.paths.agent_lock, wait=True):
        try:
            return asyncio.run(run(settings, SystemClock(), log))
        except (EdgewiseError, OSError) as refused:
            log.critical("the agent cannot run", detail=str(refused))
            return 1


async def run(settings: EdgeSettings, clock: Clock, log: Log) -> int:
    """The agent's life in this event loop; returns the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    node = node_id(settings.paths)
    if not is_enrolled(settings.paths):
        return await _enrol(settings, node, clock, log, stop)
    agent = Agent(settings, node, clock, log)
    return await agent.run(stop)


class Agent:
    """All parts of an enrolled node's agent."""

    def __init__(self, settings: EdgeSettings, node: NodeId, clock: Clock, log: Log) -> None:
        paths = settings.paths
        site, root = load_site_keys(paths).site, pinned_root(paths)
        assert site is not None
        assert root is not None
        draw = np.random.default_rng().random
        self._log = log
        self._state = state = AgentState(
            paths, clock, site=site, root_fingerprint=fingerprint(root), hub=settings.hub or "", log=log
        )
        state.metadata_expires_ms = metadata_expires_ms(paths)
        self._link = link = Link(settings, state, draw=draw, log=log)
        self._bell = bell = Doorbell(node)
        self.cache = ProfileCache.open(paths.profiles, map_bytes=settings.profile_map_bytes)
        # One thread: two updaters on one metadata folder would break it.
        metadata = ThreadPoolExecutor(1, thread_name_prefix="metadata")
        fetcher = HubFetcher(lambda: link.line, asyncio.get_running_loop(), clock)
        installer = Installer(
            settings,
            node=node,
            site=site,
            root=root,
            fetcher=fetcher,
            try_bundle=TrialProcess(settings),
            metadata=metadata,
            clock=clock,
            log=log,
        )
        self._facts = FactsFeed(
            paths,
            root,
            fetcher,
            metadata=metadata,
            refresh_ms=settings.metadata_refresh_ms,
            retry_ms=settings.refused_retry_ms,
            state=state,
            clock=clock,
            draw=draw,
            log=log,
        )
        self._watch = Watch(settings, node, installer, self._facts, state=state, clock=clock, draw=draw, log=log)
        self._uplink = Uplink(settings, node, bell=bell.spool, state=state, clock=clock, draw=draw, log=log)
        ask = asker(settings.purge_url, settings.purge_header)
        self._purging = Purging(settings, ask=ask, draw=draw, log=log) if settings.purge_url else None
        self._profiles = ProfileSync(self.cache, node, bell=bell.wanted, state=state, log=log)
        self._codes = CodesFeed(StockFile(paths), node, secrets.token_hex(INCARNATION_BYTES), clock=clock, log=log)

    async def run(self, stop: asyncio.Event) -> int:
        """Work until `stop` is set; returns the exit code."""
        link = self._link
        streams = [
            asyncio.create_task(link.keep("watch", self._watch.session), name="watch"),
            asyncio.create_task(link.keep("uplink", self._uplink.session), name="uplink"),
            asyncio.create_task(link.keep("profiles", self._profiles.session), name="profiles"),
            asyncio.create_task(link.keep("codes", self._codes.session), name="codes"),
        ]
        install = asyncio.create_task(self._watch.install_offers(link.stopping), name="install")
        facts = asyncio.create_task(self._facts.follow(link.stopping), name="facts")
        status = asyncio.create_task(self._tell(), name="status")
        mend = asyncio.create_task(self._mend(), name="mend")
        others = [install, facts]
        if self._purging is not None:
            others.append(asyncio.create_task(self._purging.follow(link.stopping), name="purging"))
        stopped = asyncio.create_task(stop.wait(), name="stop")
        parts = [*streams, *others, status, mend]
        ended, _ = await asyncio.wait([*parts, stopped], return_when=asyncio.FIRST_COMPLETED)
        broken = [task for task in ended if task is not stopped]
        for task in broken:
            self._log.error("a part of the agent failed", part=task.get_name(), exc_info=task.exception())
        # By message, not by cancellation: see `edge.agent.link`. What was recorded last is shipped first.
        link.stopping.set()
        self._uplink.finish()
        self._watch.finish()
        self._profiles.finish()
        self._codes.finish()
        await asyncio.wait(streams, timeout=LAST_SHIPMENT_S)
        status.cancel()
        mend.cancel()
        await link.close()
        await asyncio.wait([*streams, *others], timeout=LAST_SHIPMENT_S)
        self._bell.close()
        self.cache.close()
        self._state.write()
        return 1 if broken else 0

    async def _tell(self) -> None:
        while True:
            self._uplink.measure()
            self._state.write()
            await asyncio.sleep(INTERVAL_MS / 1_000)

    async def _mend(self) -> None:
        # Apart from what is told: a cache that a worker holds up must not make the node look forsaken by its hub.
        while True:
            await self._profiles.mend()
            await asyncio.sleep(INTERVAL_MS / 1_000)


async def _enrol(settings: EdgeSettings, node: NodeId, clock: Clock, log: Log, stop: asyncio.Event) -> int:
    """Ask a hub on this machine for the site's trust anchor until it answers.

    The supervisor lets no other hub get here (`edge.supervisor`), because nobody vouches for its answer.
    """
    assert settings.hub is not None
    state = AgentState(settings.paths, clock, site=None, root_fingerprint=None, hub=settings.hub, log=log)
    link = Link(settings, state, draw=np.random.default_rng().random, log=log)
    backoff = Backoff(settings.reconnect_ms, settings.reconnect_most_ms, np.random.default_rng().random)
    told = ""
    try:
        while not stop.is_set():
            state.write()
            try:
                stub = DistributionStub(link.line.channel)  # type: ignore[no-untyped-call]  # generated
                answer: EnrolResponse = await stub.Enrol(
                    EnrolRequest(node_id=node), timeout=ENROL_TIMEOUT_S, metadata=link.line.metadata
                )
                enrolment = checked(answer, f"the hub at {settings.hub}")
                take_over(settings.paths, enrolment)
            except grpc.aio.AioRpcError as failed:
                detail = f"{failed.code().name}: {failed.details()}"
            except (EdgewiseError, OSError) as refused:
                detail = str(refused)
            else:
                log.warning(
                    "enrolled: the root of this site is pinned, because the hub is on this machine",
                    site=enrolment.keys.site,
                    root_sha256=fingerprint(enrolment.root),
                )
                return ENROLLED
            state.trouble(f"enrolment: {detail}")
            if detail != told:  # once a cause, not once an attempt
                log.warning("not enrolled yet", hub=settings.hub, detail=detail)
                told = detail
            await pause(stop, backoff.next_ms())
    finally:
        await link.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
