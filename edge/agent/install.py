"""From an offer to a bundle that serves: verify, fetch what changed, try, activate, wait for the workers.

Whatever fails, the bundle that served before serves on, and the reason travels back to the hub as a NACK.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final, NamedTuple

from edge.agent.assigned import Assigned, ask_assigned
from edge.agent.fetch import HubFetcher
from edge.agent.trial import Verdict
from edge.log import Log
from edge.node.bundles import BundleStore
from edge.node.status import worker_statuses
from edge.settings import EdgeSettings
from edgewise.admission.acceptance import Limits, accept
from edgewise.clock import Clock
from edgewise.errors import BundleRefused, RefusedError
from edgewise.ids import BundleVersion, NodeId, SiteName

PASSING: Final = frozenset({"missing", "digest_mismatch", "too_large", "expired", "worker_timeout", "trial_timeout"})
"""Refusals that another attempt may not meet; all others are the bundle's own fault, and it is quarantined."""
RETRY_MOST_MS: Final = 300_000
WORKERS_START_MS: Final = 60_000
"""Workers that are just starting get this long; only then does `worker_swap_timeout_ms` count."""
_POLL_S: Final = 0.02


class Installed(NamedTuple):
    """What serves now."""

    version: BundleVersion
    digest: str


class _Refusal(NamedTuple):
    code: str
    message: str
    until_ms: float
    pause_ms: float


class Installer:
    """A node's bundles; one installation at a time. Belongs to the agent's event loop."""

    def __init__(
        self,
        settings: EdgeSettings,
        *,
        node: NodeId,
        site: SiteName,
        root: bytes,
        fetcher: HubFetcher,
        try_bundle: Callable[[str], Awaitable[Verdict]],
        metadata: Executor,
        clock: Clock,
        log: Log,
    ) -> None:
        """`try_bundle` takes the digest of a staged bundle; `edge.agent.trial_process.TrialProcess` in production.

        `metadata` runs one thing at a time, and everything that touches the metadata folder.
        """
        self._settings = settings
        self._paths = settings.paths
        self._store = BundleStore(self._paths)
        self._node = node
        self._site = site
        self._root = root
        self._fetcher = fetcher
        self._try_bundle = try_bundle
        self._clock = clock
        self._log = log
        self._refused: dict[str, _Refusal] = {}
        self.retry_ms: float | None = None
        """After a refusal: when another attempt makes sense; None when it did not get as far as to a bundle."""
        self._metadata = metadata
        # Apart from the metadata's: what a slow download holds up must not be the live facts.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="install")

    def serving(self) -> Installed | None:
        """The bundle that is to serve now, None when there is none."""
        digest = self._store.current()
        if digest is None:
            return None
        try:
            return Installed(self._store.manifest(digest).version, digest)
        except BundleRefused:
            return None

    def is_damaged(self) -> bool:
        """Whether a worker could not load what is to serve, because it was not whole on this disk."""
        digest = self._store.current()
        statuses = worker_statuses(self._paths, self._settings.workers)
        return digest is not None and any(status is not None and status.lacks(digest) for status in statuses)

    async def install(self) -> Installed | None:
        """Bring the node to the release that it is assigned; None when nothing is assigned yet.

        Raises:
            RefusedError: it is not acceptable; what served before serves on.
            UnavailableError: the hub cannot be reached, or the disk does not take the bundle.
        """
        self.retry_ms = None
        in_thread = asyncio.get_running_loop().run_in_executor
        assigned = await in_thread(self._metadata, ask_assigned, self._paths, self._root, self._node, self._fetcher)
        if assigned is None:
            return None
        digest = assigned.digest
        if digest == self._store.current():
            if self.is_damaged():
                await in_thread(self._thread, self._mend, assigned)
        else:
            self._check_remembered(digest)
            try:
                resources = await in_thread(self._thread, self._collect, assigned)
                await in_thread(self._thread, self._store.stage, assigned.manifest_bytes, resources)
                await self._pass_trial(digest)
                await self._swap(digest)
            except RefusedError as refused:
                self._remember(digest, refused)
                raise
            finally:
                self._store.discard(digest)
            self._refused.pop(digest, None)
        return Installed(assigned.manifest.version, digest)

    def _collect(self, assigned: Assigned) -> dict[str, bytes]:
        """Accept by rules, then bring the resources together: from bundles that are here, the others from the hub."""
        manifest = assigned.manifest
        most_bytes = self._settings.bundle_most_bytes
        # An older release than the installed one is no rollback attack here: the signed assignment asks for it, and
        # assignments never fall (`edge.agent.assigned`).
        accept(
            manifest,
            site=self._site,
            current_version=None,
            now_ms=self._clock.now_ms(),
            limits=Limits(resource_bytes=most_bytes, total_bytes=most_bytes),
        )
        resources = {}
        for path, resource in manifest.resources.items():
            here = self._store.find_blob(resource.sha256)
            resources[path] = here if here is not None else self._fetcher.blob(resource.sha256, resource.bytes)
        return resources

    def _mend(self, assigned: Assigned) -> None:
        """Put the assigned release in the place of its damaged copy; `current` is written anew, so workers look again.

        Not by way of `revert`: workers that hold the release in memory go on with it.
        """
        digest = assigned.digest
        try:
            self._store.read(digest)
        except BundleRefused:
            self._store.stage(assigned.manifest_bytes, self._collect(assigned))
        if self._store.current() == digest:  # not reverted meanwhile
            self._store.activate(digest)
            self._log.warning("a bundle that was damaged here is whole again", digest=digest)

    async def _pass_trial(self, digest: str) -> None:
        verdict = await self._try_bundle(digest)
        if verdict.code:
            raise BundleRefused(verdict.code, verdict.message)

    async def _swap(self, digest: str) -> None:
        """Activate, and take it back unless every worker serves it in time."""
        self._store.activate(digest)
        try:
            await self._workers_serve(digest)
        except BundleRefused:
            # The supervisor may have reverted it in the meantime, because it crashes workers.
            if self._store.current() == digest:
                self._store.revert()
            raise

    async def _workers_serve(self, digest: str) -> None:
        started_ms = self._clock.monotonic_ms()
        running_ms: float | None = None
        while True:
            now_ms = self._clock.monotonic_ms()
            statuses = worker_statuses(self._paths, self._settings.workers)
            running = [status for status in statuses if status is not None and status.listening]
            for status in running:
                if status.refused_digest == digest:
                    raise BundleRefused("worker_refused", f"worker {status.index}: {status.refused_detail}")
            if len(running) == len(statuses):
                if all(status.bundle_digest == digest for status in running):
                    return
                running_ms = now_ms if running_ms is None else running_ms
            if self._store.current() != digest:
                raise BundleRefused("crash", "workers crashed with this bundle; it was reverted")
            late_ms = (
                WORKERS_START_MS + started_ms
                if running_ms is None
                else running_ms + self._settings.worker_swap_timeout_ms
            )
            if now_ms > late_ms:
                raise BundleRefused(
                    "worker_timeout",
                    f"{sum(status.bundle_digest == digest for status in running)} of {len(statuses)} workers serve "
                    f"{digest[:12]} after {now_ms - started_ms:.0f} ms",
                )
            await asyncio.sleep(_POLL_S)

    # --- what was refused --------------------------------------------------------------------------------------------
    def _check_remembered(self, digest: str) -> None:
        """Refuse again without fetching again what was refused before."""
        quarantined = self._store.quarantined(digest)
        if quarantined is not None:
            self.retry_ms = self._settings.metadata_refresh_ms
            raise BundleRefused(quarantined.code, quarantined.message)
        refused = self._refused.get(digest)
        if refused is not None and (left_ms := refused.until_ms - self._clock.monotonic_ms()) > 0:
            self.retry_ms = left_ms
            raise BundleRefused(refused.code, refused.message)

    def _remember(self, digest: str, refused: RefusedError) -> None:
        if refused.code not in PASSING:
            # A full disk costs another attempt; it must not hide from the hub what is wrong with the bundle.
            with contextlib.suppress(OSError):
                self._store.quarantine(digest, code=refused.code, message=refused.message, now_ms=self._clock.now_ms())
            self.retry_ms = self._settings.metadata_refresh_ms
            return
        before = self._refused.get(digest)
        pause_ms = min(RETRY_MOST_MS, before.pause_ms * 2) if before else self._settings.refused_retry_ms
        until_ms = self._clock.monotonic_ms() + pause_ms
        self.retry_ms = pause_ms
        self._refused[digest] = _Refusal(refused.code, refused.message, until_ms, pause_ms)
