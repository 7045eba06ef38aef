"""One node: starts its processes, replaces those that die, and stops them all in order.

    supervisor ── agent         `python -m edge.agent.run  --settings JSON`                       only with a hub
               └─ worker 0..N-1 `python -m edge.worker.run --index I --listen FD --settings JSON` (`edge.crew`)

Children are new programs, never forks: nothing of LMDB, gRPC or ONNX Runtime may be inherited. The settings that
they get hold the real address and port. `edge.child` ends them with the supervisor.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from edge.agent.trial_process import TrialProcess
from edge.backoff import either, pause
from edge.crew import Crew, ending
from edge.door import Door, open_door
from edge.log import Log
from edge.node.bundles import BundleStore
from edge.node.claims import hold_folder
from edge.node.durable import sweep
from edge.node.enrolment import ENROLLED, is_enrolled, is_loopback, read_enrolment, take_over
from edge.node.epochs import check_epoch, node_id
from edge.node.keys import load_site_keys
from edge.node.starter import FolderBundle, install_starter, install_tried, is_starter, read_folder
from edge.node.status import AgentStatus, write_status
from edge.node.trust import UNFINISHED, metadata_expires_ms
from edge.place_of_ip import check_places
from edge.probation import CacheProbation, Probation
from edge.process import Process
from edge.settings import ENROL_TOKEN, FIXED, EdgeSettings
from edge.systemd import Notifier
from edge.tls import check_tls
from edgewise.clock import Clock
from edgewise.errors import BundleRefused, EdgewiseError, InputError, Problem, UnavailableError
from edgewise.ids import NodeId

ENROLMENT_PATIENCE_MS: Final = 3_000
"""How long workers wait for a first enrolment: what is recorded before it stands under keys of the node's own."""
AGENT_PATIENCE_MS: Final = 5_000


class Serving(NamedTuple):
    """What is announced once requests are answered."""

    url: str
    node: NodeId
    pid: int


class Supervisor:
    """Runs one node until it is told to stop."""

    def __init__(
        self,
        settings: EdgeSettings,
        *,
        clock: Clock,
        log: Log,
        announce: Callable[[Serving], None],
        reread: Callable[[], EdgeSettings],
        notifier: Notifier,
        passed: socket.socket | None = None,
    ) -> None:
        """`reread` says what the settings are now; `passed` is a listening socket, instead of a port of its own."""
        self._settings = settings
        self._reread = reread
        self._notifier = notifier
        self._passed = passed
        self._paths = settings.paths
        self._store = BundleStore(self._paths)
        self._clock = clock
        self._log = log
        self._announce = announce
        self._stopping = asyncio.Event()
        self._enrolled = asyncio.Event()
        self._reload_asked = asyncio.Event()
        self._changing = asyncio.Lock()
        """Held by whoever stops and starts workers."""
        self._agent: Process | None = None
        self._crew: Crew | None = None
        self._background: list[asyncio.Task[None]] = []
        self._probation = Probation(self._store, clock=clock, log=log)
        self._cache_probation = CacheProbation(self._paths.profiles, clock=clock, log=log)

    def stop(self) -> None:
        """Drain; a second call kills."""
        if self._stopping.is_set():
            for process in (*(self._crew.processes() if self._crew else ()), *([self._agent] if self._agent else [])):
                process.kill()
        self._stopping.set()
        self._reload_asked.set()

    def reload(self) -> None:
        """Read the settings again and work under them, as soon as requests are answered."""
        self._reload_asked.set()

    async def run(self) -> None:
        """Serve until `stop`; returns when every child has ended.

        Raises:
            InputError: settings contradict each other, or name a certificate that is none.
            UnavailableError: the folder is in use, the port is taken, or the workers do not start.
            BundleRefused: the bundle that was named is not acceptable.
        """
        self._check_files(self._settings)
        with (
            hold_folder(self._paths),
            open_door(self._settings.host, self._settings.port, self._passed) as door,
        ):
            self._sweep()
            node = node_id(self._paths)
            check_epoch(self._paths)
            load_site_keys(self._paths)
            self._prepare_trust()
            await self._prepare_bundle()
            settings = _placed(self._settings, door)
            self._agent = self._make_agent(settings)
            crew = self._crew = Crew(
                settings, door, clock=self._clock, log=self._log, on_end=self._worker_ended, stopping=self._stopping
            )
            try:
                if self._agent:
                    self._agent.start(self._agent_ended)
                    if not is_enrolled(self._paths):
                        await either(self._stopping, self._enrolled, ENROLMENT_PATIENCE_MS)
                crew.start()
                await crew.listen()
                if not self._stopping.is_set():
                    self._announce(Serving(_url(settings), node, os.getpid()))
                    self._background = [
                        asyncio.create_task(self._follow_reloads(crew, door), name="reloads"),
                        asyncio.create_task(self._pet_watchdog(), name="watchdog"),
                    ]
                await self._stopping.wait()
            finally:
                await self._drain(crew, door)

    # --- before anything runs ----------------------------------------------------------------------------------------
    def _sweep(self) -> None:
        """Delete what processes that were killed left half-done."""
        paths = self._paths
        for folder in (paths.root, paths.trust, paths.bundles, paths.run):
            sweep(folder)
        for unfinished in paths.trust.glob(f"{UNFINISHED}*"):
            shutil.rmtree(unfinished, ignore_errors=True)

    def _prepare_trust(self) -> None:
        """Take over the enrolment that was handed over, or make sure that the first contact will be safe."""
        settings, paths = self._settings, self._paths
        if settings.hub is None:
            return
        if settings.bundle is not None:
            what = "a hub or a bundle of your own: --hub and --bundle exclude one another"
            raise InputError(what, (Problem("--bundle", what),))
        if settings.trust is not None:
            before = load_site_keys(paths)
            take_over(paths, read_enrolment(Path(settings.trust).expanduser()))
            if load_site_keys(paths) != before:
                self._forget_profiles()
        elif not is_enrolled(paths) and not is_loopback(settings.hub):
            raise UnavailableError(
                f"the hub {settings.hub} is not on this machine, so this node cannot tell whether it is the right one; "
                "name the enrolment that the site's owner gave you by --trust FILE"
            )

    async def _prepare_bundle(self) -> None:
        """Let something serve before any hub is heard."""
        settings, store = self._settings, self._store
        damage = store.repair()
        if damage:
            self._log.error("the current bundle is damaged", detail=damage, serves=store.current())
        installed: FolderBundle | None = None
        if settings.bundle is not None:
            installed = self._read_folder(settings.bundle)
            await install_tried(store, installed, self._pass_trial)
            if installed.expires_ms is None:
                self._log.warning("the bundle is not signed: nobody vouches for it", folder=settings.bundle)
        elif settings.hub is None:
            installed = install_starter(store, most_bytes=settings.bundle_most_bytes)
        elif is_starter(store):
            # Its invented items must not show up on a real site, not even while its hub is away.
            store.clear()
        if settings.hub is None:
            # Workers learn the node's condition from the agent's file; without a hub there is no agent.
            expires_ms = installed.expires_ms if installed else metadata_expires_ms(self._paths)
            status = AgentStatus(pid=os.getpid(), written_ms=self._clock.now_ms(), metadata_expires_ms=expires_ms)
            try:
                write_status(self._paths.agent_status, status)
            except OSError as failed:  # a full disk must not keep a node from answering
                self._log.error("when the bundle's signature expires is not told to workers", detail=str(failed))
        self._probation.begin()

    def _read_folder(self, folder: str) -> FolderBundle:
        return read_folder(Path(folder).expanduser(), most_bytes=self._settings.bundle_most_bytes)

    async def _pass_trial(self, digest: str) -> None:
        """As for what a hub offers: who names a folder vouches for it as little as a signature does."""
        verdict = await TrialProcess(self._settings)(digest)
        if verdict.code:
            raise BundleRefused(verdict.code, f"--bundle {self._settings.bundle}: {verdict.message}")

    def _check_files(self, settings: EdgeSettings) -> None:
        """Certificate and databases of places. Raises InputError before any worker meets a wrong one.

        An expired certificate is worth a warning only: some visitors may still take it, without it nobody comes in.
        """
        check_places(settings)
        validity = check_tls(settings)
        if validity is not None and not validity.begins_ms <= self._clock.now_ms() < validity.ends_ms:
            self._log.warning("the certificate has expired, or is not valid yet", file=settings.tls_certificate)

    def _make_agent(self, settings: EdgeSettings) -> Process | None:
        if settings.hub is None:
            return None
        secrets = {ENROL_TOKEN: settings.enrol_token}
        return Process.under(settings, "agent", "edge.agent.run", clock=self._clock, log=self._log, secrets=secrets)

    # --- while it runs -----------------------------------------------------------------------------------------------
    async def _follow_reloads(self, crew: Crew, door: Door) -> None:
        """Until `stop`; systemd is told how it goes."""
        trouble = ""
        while not self._stopping.is_set():
            settings = self._settings
            serving = f"Serving {_url(_placed(settings, door))} with {settings.workers} workers"
            self._notifier.tell(READY=1, status=f"{serving}; not reloaded: {trouble}" if trouble else serving)
            await self._reload_asked.wait()
            self._reload_asked.clear()
            if not self._stopping.is_set():
                now_us = int(self._clock.monotonic_ms() * 1_000)
                self._notifier.tell(RELOADING=1, MONOTONIC_USEC=now_us, status="Reloading")
                trouble = await self._reload(crew, door)

    async def _pet_watchdog(self) -> None:
        while self._notifier.watchdog_ms and not self._stopping.is_set():
            self._notifier.tell(WATCHDOG=1)
            await pause(self._stopping, self._notifier.watchdog_ms / 2)

    async def _reload(self, crew: Crew, door: Door) -> str:
        """Work under the settings as they are now, or go on as before; returns why, empty if it worked."""
        try:
            settings = self._acceptable()
            async with self._changing:
                await crew.replace(_placed(settings, door))
                if self._agent and settings != self._settings:
                    await self._agent.stop(AGENT_PATIENCE_MS)
                    self._agent = self._make_agent(_placed(settings, door))
                    if self._agent and not self._stopping.is_set():
                        self._agent.start(self._agent_ended)
        except (EdgewiseError, OSError) as refused:
            self._log.error("not reloaded: the settings stay as they were", detail=str(refused))
            return str(refused)
        except Exception as failed:  # noqa: BLE001  # an error of ours must not end what serves
            self._log.exception("not reloaded: the settings stay as they were")
            return repr(failed)
        self._settings = settings
        self._log.info("reloaded", workers=settings.workers)
        return ""

    def _acceptable(self) -> EdgeSettings:
        """What the settings are now. Raises InputError for what cannot be, or not while the node runs."""
        settings = self._reread()
        fixed = [name for name in FIXED if getattr(settings, name) != getattr(self._settings, name)]
        if fixed:
            raise InputError(f"{', '.join(fixed)} cannot change while the node runs: restart it")
        self._check_files(settings)
        return settings

    async def _worker_ended(self, worker: Process, code: int) -> None:
        self._log.error("a worker ended and is started again", child=worker.name, ending=ending(code))
        self._probation.ended(code)
        self._cache_probation.ended(code)

    async def _agent_ended(self, code: int) -> None:
        if code != ENROLLED:
            self._log.error("the agent ended and is started again", ending=ending(code))
            return
        assert self._crew is not None
        async with self._changing:
            were_running = any(worker.pid is not None for worker in self._crew.processes())
            await self._crew.stop()
            self._forget_profiles()
            if were_running and not self._stopping.is_set():
                self._crew.start()
        self._enrolled.set()

    def _forget_profiles(self) -> None:
        """Subjects are keyed hashes: under a new key nobody finds the old profiles, and nobody ever should."""
        shutil.rmtree(self._paths.profiles, ignore_errors=True)
        self._paths.create()

    # --- the end -----------------------------------------------------------------------------------------------------
    async def _drain(self, crew: Crew, door: Door) -> None:
        """Workers first: what they sync last is what the agent ships last."""
        self._notifier.tell(STOPPING=1, status="Finishing what has begun")
        self._stopping.set()
        door.close()
        await crew.stop()
        if self._background:
            await asyncio.wait(self._background)
        if self._agent:
            await self._agent.stop(AGENT_PATIENCE_MS)


def _placed(settings: EdgeSettings, door: Door) -> EdgeSettings:
    """As children need them: wherever the node really is."""
    data_dir = str(settings.paths.root.absolute())
    return msgspec.structs.replace(settings, host=door.host, port=door.port, data_dir=data_dir)


def _url(settings: EdgeSettings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.tls_certificate else 'http'}://{host}:{settings.port}"
