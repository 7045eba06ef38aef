"""What is wrong with a node here, and how to mend it. Looks only; changes nothing.

Each check is a small function that returns one `Finding`, or several; a check that cannot be made says so.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

from edge.node.bundles import BundleStore, Quarantined
from edge.node.claims import holder_of, reserve_port
from edge.node.enrolment import is_enrolled, is_loopback
from edge.node.epochs import check_epoch, node_id
from edge.node.keys import load_site_keys
from edge.node.layout import producer_of
from edge.node.status import AgentStatus, read_last_status, worker_statuses
from edge.node.trust import fingerprint, metadata_expires_ms, pinned_root
from edge.place_of_ip import check_places
from edge.profiles.generation import current_place
from edge.settings import EdgeSettings
from edge.spool.contents import segments_of
from edge.spool.producers import is_alive
from edge.tls import check_tls
from edgewise.admission.load import load_bundle
from edgewise.clock import Clock
from edgewise.errors import MALFORMED, EdgewiseError, InputError
from edgewise.frames import scan

LITTLE_FREE_BYTES: Final = 256 << 20
CLOCK_TOLERANCE_MS: Final = 60_000
HUB_TIMEOUT_S: Final = 3.0
FEW_DAYS_LEFT: Final = 14
"""Those who renew certificates by themselves do so a month ahead."""
_DAY_MS: Final = 86_400_000

Verdict = Literal["ok", "warning", "failure"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    check: str
    verdict: Verdict
    detail: str
    cure: str = ""
    """What to do; empty where nothing needs to be done."""


def examine(settings: EdgeSettings, clock: Clock) -> list[Finding]:
    """All checks, in the order in which their failures explain each other."""
    if not settings.paths.root.is_dir():
        cure = "start the node once by `edgewise edge serve`, or name its folder by --data-dir"
        return [Finding("folder", "failure", f"{settings.paths.root} is not there", cure)]
    node = _Node(settings, clock)
    checks: list[Callable[[], Iterator[Finding]]] = [
        node.folder,
        node.disk,
        node.clock,
        node.identity,
        node.supervisor,
        node.port,
        node.certificate,
        node.places,
        node.operators,
        node.enrolment,
        node.bundle,
        node.refusals,
        node.profiles,
        node.spool,
        node.hub,
    ]
    return [finding for check in checks for finding in _guarded(check)]


def _guarded(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except (EdgewiseError, OSError) as failed:
        yield Finding(check.__name__, "failure", str(failed), "see the message")


class _Node:
    def __init__(self, settings: EdgeSettings, clock: Clock) -> None:
        self.settings = settings
        self.paths = settings.paths
        self.store = BundleStore(self.paths)
        self.now_ms = clock.now_ms()
        self.agent = read_last_status(self.paths.agent_status, AgentStatus)
        self.is_running = False

    def folder(self) -> Iterator[Finding]:
        """Ours, writable, and nobody else's to read."""
        root = self.paths.root
        if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
            owner = root.stat().st_uid
            cure = f"run the node as user {owner}, or `chown -R` the folder to the user that runs it"
            yield Finding("folder", "failure", f"{root} cannot be read and written by user {os.geteuid()}", cure)
            return
        open_to_others = [
            path.name
            for path in (self.paths.trust, self.paths.site)
            if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077
        ]
        if open_to_others:
            detail = f"others may read {', '.join(open_to_others)}, which hold the site's keys"
            yield Finding("folder", "failure", detail, f"chmod -R go= {self.paths.trust}")
        else:
            yield Finding("folder", "ok", str(root))

    def disk(self) -> Iterator[Finding]:
        """Room for the spool."""
        free = shutil.disk_usage(self.paths.root).free
        cure = (
            "make room: when the disk is full, records are dropped (and declared)" if free < LITTLE_FREE_BYTES else ""
        )
        yield Finding("disk", "warning" if cure else "ok", f"{free / 1e9:.1f} GB are free", cure)

    def clock(self) -> Iterator[Finding]:
        """What was written is not later than now."""
        ahead_ms = max(
            (int(path.stat().st_mtime * 1_000) - self.now_ms for path in self.paths.root.iterdir()), default=0
        )
        if ahead_ms > CLOCK_TOLERANCE_MS:
            detail = f"files here are {ahead_ms / 1_000:.0f} s ahead of the clock: it has jumped back"
            yield Finding("clock", "failure", detail, "set the clock (NTP); signatures expire by it")
        else:
            yield Finding("clock", "ok", "not behind what was written")

    def identity(self) -> Iterator[Finding]:
        """The name, and the counter that keeps records apart."""
        if self.paths.node.exists():
            name = node_id(self.paths)
            check_epoch(self.paths)
            yield Finding("identity", "ok", name)

    def supervisor(self) -> Iterator[Finding]:
        """Whether the node runs, with all its workers."""
        holder = holder_of(self.paths.lock)
        self.is_running = holder is not None
        if not self.is_running:
            yield Finding("supervisor", "ok", "the node does not run now")
            return
        statuses = worker_statuses(self.paths, self.settings.workers)
        up = sum(status is not None and status.listening for status in statuses)
        cure = "" if up else "look for `a worker ended` in the supervisor's log"
        yield Finding("supervisor", "ok" if up else "failure", f"runs as process {holder}, {up} workers answer", cure)

    def port(self) -> Iterator[Finding]:
        """Free, or ours."""
        if self.is_running or self.settings.port == 0:
            return
        with reserve_port(self.settings.host, self.settings.port) as port:
            yield Finding("port", "ok", f"{self.settings.host} port {port} is free")

    def certificate(self) -> Iterator[Finding]:
        """What visitors are met with by https can be read, belongs together, and holds for a while."""
        cure = "get a new one, then send the node SIGHUP (`systemctl reload`)"
        try:
            validity = check_tls(self.settings)
        except InputError as wrong:
            yield Finding("certificate", "failure", wrong.message, "mend the file or the setting; until then no start")
            return
        if validity is None:
            return
        file, left_days = self.settings.tls_certificate, (validity.ends_ms - self.now_ms) / _DAY_MS
        if left_days <= 0:
            yield Finding("certificate", "failure", f"{file} expired {-left_days:.0f} days ago", cure)
        elif validity.begins_ms > self.now_ms:
            ahead_days = (validity.begins_ms - self.now_ms) / _DAY_MS
            yield Finding("certificate", "failure", f"{file} is not valid for another {ahead_days:.1f} days", cure)
        elif left_days < FEW_DAYS_LEFT:
            yield Finding("certificate", "warning", f"{file} expires in {left_days:.1f} days", cure)
        else:
            yield Finding("certificate", "ok", f"{file} is valid for {left_days:.0f} days")

    def places(self) -> Iterator[Finding]:
        """The databases that tell where visitors come from can be read."""
        try:
            found = check_places(self.settings)
        except InputError as wrong:
            yield Finding("places", "failure", wrong.message, "mend the file or the setting; until then no start")
            return
        if found:
            yield Finding("places", "ok", "; ".join(found))

    def operators(self) -> Iterator[Finding]:
        """Who may look into the node and force its answers."""
        keys = len(self.settings.operator_keys_sha256)
        if not self.settings.trusts_loopback:
            yield Finding("operators", "ok", f"who has one of {keys} keys; this machine itself has no say without")
            return
        also = f"who has one of {keys} keys, and " if keys else ""
        cure = (
            "behind a proxy on this machine that sets no X-Forwarded-For everybody is an operator: set "
            "operator_keys_sha256, or loopback_is_operator = false"
        )
        yield Finding("operators", "ok", f"{also}every request from this machine itself", cure)

    def enrolment(self) -> Iterator[Finding]:
        """Whose node this is."""
        root = pinned_root(self.paths)
        if is_enrolled(self.paths) and root is not None:
            site = load_site_keys(self.paths).site
            yield Finding("enrolment", "ok", f"site {site}, root {fingerprint(root)}")
        elif self.settings.hub is None:
            yield Finding("enrolment", "ok", "no hub, so no site to belong to")
        elif is_loopback(self.settings.hub):
            yield Finding("enrolment", "warning", "not enrolled yet", "start the node while its hub runs")
        else:
            cure = "start the node once with --trust FILE, the enrolment from the site's owner"
            yield Finding("enrolment", "failure", f"not enrolled, and {self.settings.hub} is another machine", cure)

    def bundle(self) -> Iterator[Finding]:
        """What serves is whole, loads, and is vouched for."""
        digest = self.store.current()
        if digest is None:
            cure = "promote a release at the hub; until then every placement answers FALLBACK_NO_BUNDLE"
            yield Finding("bundle", "warning", "none", cure)
            return
        cure = "restart the node: it falls back to the bundle before, and fetches this one again"
        try:
            bundle = load_bundle(*self.store.read(digest))
        except EdgewiseError as refused:
            yield Finding("bundle", "failure", str(refused), cure)
            return
        yield Finding("bundle", "ok", f"version {bundle.version} of site {bundle.manifest.site}, {digest[:16]}")
        expires_ms = metadata_expires_ms(self.paths)
        if expires_ms is not None and expires_ms <= self.now_ms:
            detail = f"the signatures ended {(self.now_ms - expires_ms) / 3_600_000:.1f} h ago: the node says STALE"
            yield Finding("signatures", "warning", detail, "see that the hub runs: it signs anew every few hours")

    def refusals(self) -> Iterator[Finding]:
        """What this node would not take."""
        if self.agent is not None and self.agent.last_nack is not None:
            nack = self.agent.last_nack
            cure = "release a bundle without this flaw"
            yield Finding("last refusal", "warning", f"{nack.code}: {nack.detail}", cure)
        for file in sorted(self.paths.quarantine.glob("*.json")):
            try:
                held = msgspec.json.decode(file.read_bytes(), type=Quarantined)
            except MALFORMED:
                yield Finding("quarantine", "warning", f"{file} cannot be read", f"rm {file}")
                continue
            cure = f"nothing, or `rm {file}` to let the node try it again"
            yield Finding("quarantine", "warning", f"{held.digest[:16]}: {held.code}: {held.message}", cure)

    def profiles(self) -> Iterator[Finding]:
        """The cache's structure, while nobody writes to it."""
        place = current_place(self.paths.profiles)
        data = place / "data.mdb"
        if self.is_running or not data.exists():
            return
        import lmdb.verify

        try:
            wrong = lmdb.verify.verify(str(place))  # type: ignore[no-untyped-call]
        except lmdb.verify.VerifyError as damaged:
            wrong = str(damaged)
        if wrong:
            cure = f"rm -r {self.paths.profiles}: it is a cache, and comes back from the hub"
            yield Finding("profiles", "failure", f"{data} is damaged: {wrong}", cure)
        else:
            yield Finding("profiles", "ok", f"{data.stat().st_size / 1e6:.1f} MB, sound")

    def spool(self) -> Iterator[Finding]:
        """What waits, and whether it can be read to its end."""
        waiting, torn = 0, 0
        for folder in sorted(self.paths.spool.iterdir()):
            if producer_of(folder.name) is None:
                continue
            alive = is_alive(folder)
            for segment in segments_of(folder):
                data = segment.read_bytes()
                end = max((frame.end for frame in scan(data)), default=0)
                waiting += len(data)
                torn += 0 if alive else len(data) - end
        hub = self.agent.hub if self.agent else self.settings.hub
        cure = "" if hub or not waiting else "nothing ships it: this node has no hub"
        detail = f"{waiting / 1e6:.3f} MB wait for the hub"
        yield Finding("spool", "ok", detail, cure)
        if torn:
            cure = "nothing: what a crash cut off was never acknowledged to anybody; the rest is shipped"
            yield Finding("spool", "warning", f"{torn} bytes behind the last whole record of dead workers", cure)

    def hub(self) -> Iterator[Finding]:
        """Whether it answers, and whether the agent gets on with it."""
        address = self.settings.hub or (self.agent.hub if self.agent else "")
        if not address:
            return
        yield _ask_hub(address)
        if self.is_running and self.agent is not None and self.agent.last_error:
            yield Finding("agent", "warning", self.agent.last_error, "see the message; it tries again by itself")


def _ask_hub(address: str) -> Finding:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), HUB_TIMEOUT_S).close()
    except OSError as unreachable:
        cure = "start the hub, or mend the network or --hub; the node decides without it meanwhile"
        return Finding("hub", "failure", f"{address}: {unreachable.strerror or unreachable}", cure)
    status = asyncio.run(_health(address))
    if status == "SERVING":
        return Finding("hub", "ok", f"{address} serves")
    cure = "another program may listen there; `edgewise hub serve` prints the address for nodes"
    return Finding("hub", "failure", f"{address} does not answer as a hub: {status}", cure)


async def _health(address: str) -> str:
    import grpc
    from grpc_health.v1 import health_pb2
    from grpc_health.v1.health_pb2_grpc import HealthStub

    async with grpc.aio.insecure_channel(address) as channel:
        try:
            answer = await HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=HUB_TIMEOUT_S)
        except grpc.aio.AioRpcError as failed:
            return failed.code().name
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
