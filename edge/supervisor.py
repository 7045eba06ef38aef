"""One node: starts its processes, replaces those that die, and stops them all in order.

    supervisor ── agent         `python -m edge.agent.run  --settings JSON`              only with a hub
               └─ worker 0..N-1 `python -m edge.worker.run --index I --settings JSON`    all on one port (SO_REUSEPORT)

Children are new programs, never forks: nothing of LMDB, gRPC or ONNX Runtime may be inherited. The settings that
they get hold the real port. `edge.child` ends them with the supervisor.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from edge.agent.trial_process import TrialProcess
from edge.log import Log
from edge.node.bundles import BundleStore
from edge.node.claims import hold_folder, reserve_port
from edge.node.durable import sweep
from edge.node.enrolment import ENROLLED, is_enrolled, is_loopback, read_enrolment, take_over
from edge.node.epochs import check_epoch, node_id
from edge.node.keys import load_site_keys
from edge.node.starter import FolderBundle, install_starter, install_tried, is_starter, read_folder
from edge.node.status import AgentStatus, worker_statuses, write_status
from edge.node.trust import UNFINISHED, metadata_expires_ms
from edge.process import Process
from edge.settings import ENROL_TOKEN, EdgeSettings, encode_settings
from edgewise.clock import Clock
from edgewise.errors import BundleRefused, InputError, UnavailableError
from edgewise.ids import NodeId

ENROLMENT_PATIENCE_MS: Final = 3_000
"""How long workers wait for a first enrolment: what is recorded before it stands under keys of the node's own."""
AGENT_PATIENCE_MS: Final = 5_000
MOST_FAILED_STARTS: Final = 5
PROBATION_MS: Final = 60_000
"""A bundle after whose swap two workers crash within this time is reverted."""
_CRASHES: Final = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT})
"""How native code dies of its input. SIGKILL is not among them: it comes from outside."""
_POLL_S: Final = 0.02


class Serving(NamedTuple):
    """What is announced once requests are answered."""

    url: str
    node: NodeId
    pid: int


class Supervisor:
    """Runs one node until it is told to stop."""

    def __init__(self, settings: EdgeSettings, *, clock: Clock, log: Log, announce: Callable[[Serving], None]) -> None:
        self._settings = settings
        self._paths = settings.paths
        self._store = BundleStore(self._paths)
        self._clock = clock
        self._log = log
        self._announce = announce
        self._stopping = asyncio.Event()
        self._enrolled = asyncio.Event()
        self._agent: Process | None = None
        self._workers: list[Process] = []
        self._crashes_ms: list[float] = []
        self._swapped_ms = clock.monotonic_ms()
        self._generation: object = None

    def stop(self) -> None:
        """Drain; a second call kills."""
        if self._stopping.is_set():
            for process in self._processes():
                process.kill()
        self._stopping.set()

    async def run(self) -> None:
        """Serve until `stop`; returns when every child has ended.

        Raises:
            UnavailableError: the folder is in use, the port is taken, or the workers do not start.
            BundleRefused: the bundle that was named is not acceptable.
        """
        with hold_folder(self._paths), reserve_port(self._settings.host, self._settings.port) as port:
            data_dir = str(self._paths.root.absolute())
            settings = msgspec.structs.replace(self._settings, port=port, data_dir=data_dir)
            self._sweep()
            node = node_id(self._paths)
            check_epoch(self._paths)
            load_site_keys(self._paths)
            self._prepare_trust()
            await self._prepare_bundle()
            self._make_processes(encode_settings(msgspec.structs.replace(settings, enrol_token="")))
            try:
                if self._agent:
                    self._agent.start(self._agent_ended)
                    if not is_enrolled(self._paths):
                        await self._wait(self._enrolled, ENROLMENT_PATIENCE_MS)
                self._start_workers()
                await self._workers_listen()
                if not self._stopping.is_set():
                    self._announce(Serving(f"http://{_in_url(settings.host)}:{port}", node, os.getpid()))
                await self._stopping.wait()
            finally:
                await self._drain()

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
            raise InputError("a hub or a bundle of your own: --hub and --bundle exclude one another")
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
            write_status(self._paths.agent_status, status)
        self._generation = store.generation()

    def _read_folder(self, folder: str) -> FolderBundle:
        return read_folder(Path(folder).expanduser(), most_bytes=self._settings.bundle_most_bytes)

    async def _pass_trial(self, digest: str) -> None:
        """As for what a hub offers: who names a folder vouches for it as little as a signature does."""
        verdict = await TrialProcess(self._settings)(digest)
        if verdict.code:
            raise BundleRefused(verdict.code, f"--bundle {self._settings.bundle}: {verdict.message}")

    def _make_processes(self, argument: str) -> None:
        def make(name: str, module: str, *arguments: str) -> Process:
            log_file = self._paths.log(name) if self._settings.log_to == "files" else None
            command = [*arguments, "--settings", argument]
            secrets = {ENROL_TOKEN: self._settings.enrol_token} if module == "edge.agent.run" else {}
            return Process(name, module, command, clock=self._clock, log=self._log, log_file=log_file, secrets=secrets)

        if self._settings.hub is not None:
            self._agent = make("agent", "edge.agent.run")
        count = self._settings.workers
        self._workers = [make(f"worker-{index}", "edge.worker.run", "--index", str(index)) for index in range(count)]

    # --- while it runs -----------------------------------------------------------------------------------------------
    def _start_workers(self) -> None:
        for index, worker in enumerate(self._workers):
            self._paths.worker_status(index).unlink(missing_ok=True)
            worker.start(partial(self._worker_ended, worker))

    async def _workers_listen(self) -> None:
        while not self._stopping.is_set():
            statuses = worker_statuses(self._paths, self._settings.workers)
            if all(status is not None and status.listening for status in statuses):
                return
            for worker in self._workers:
                if worker.failures >= MOST_FAILED_STARTS:
                    raise UnavailableError(
                        f"{worker.name} does not start: it ended {worker.failures} times, "
                        f"last with {_ending(worker.last_code)}; its log says why"
                    )
            await asyncio.sleep(_POLL_S)

    async def _worker_ended(self, worker: Process, code: int) -> None:
        self._log.error("a worker ended and is started again", child=worker.name, ending=_ending(code))
        now_ms = self._clock.monotonic_ms()
        if self._store.generation() != self._generation:
            self._generation = self._store.generation()
            self._swapped_ms = now_ms
            self._crashes_ms = []
        if -code in _CRASHES:
            self._crashes_ms.append(now_ms)
        if len(self._crashes_ms) >= 2 and now_ms - self._swapped_ms <= PROBATION_MS:  # noqa: PLR2004
            self._revert_bundle()

    def _revert_bundle(self) -> None:
        bad, before = self._store.current(), self._store.previous()
        if bad is None or before is None or bad == before:
            return
        message = f"{len(self._crashes_ms)} workers crashed within {PROBATION_MS // 1_000} s of its start"
        self._store.quarantine(bad, code="crash", message=message, now_ms=self._clock.now_ms())
        self._log.error("the bundle is reverted", digest=bad, serves=self._store.revert(), detail=message)
        self._generation = self._store.generation()
        self._crashes_ms = []

    async def _agent_ended(self, code: int) -> None:
        if code != ENROLLED:
            self._log.error("the agent ended and is started again", ending=_ending(code))
            return
        were_running = [worker for worker in self._workers if worker.pid is not None]
        await self._stop_workers()
        self._forget_profiles()
        if were_running and not self._stopping.is_set():
            self._start_workers()
        self._enrolled.set()

    def _forget_profiles(self) -> None:
        """Subjects are keyed hashes: under a new key nobody finds the old profiles, and nobody ever should."""
        shutil.rmtree(self._paths.profiles, ignore_errors=True)
        self._paths.create()

    async def _wait(self, event: asyncio.Event, most_ms: float) -> None:
        waiting = [asyncio.create_task(event.wait()), asyncio.create_task(self._stopping.wait())]
        await asyncio.wait(waiting, timeout=most_ms / 1_000, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    # --- the end -----------------------------------------------------------------------------------------------------
    async def _stop_workers(self) -> None:
        await asyncio.gather(*(worker.stop(self._settings.drain_timeout_ms) for worker in self._workers))

    async def _drain(self) -> None:
        """Workers first: what they sync last is what the agent ships last."""
        self._stopping.set()
        await self._stop_workers()
        if self._agent:
            await self._agent.stop(AGENT_PATIENCE_MS)

    def _processes(self) -> list[Process]:
        return [*self._workers, *([self._agent] if self._agent else [])]


def _ending(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    return f"signal {signal.Signals(-code).name}"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
