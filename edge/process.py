"""A child process that is started again whenever it ends, with growing pauses while it keeps failing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from edge.backoff import pause
from edge.log import Log
from edge.settings import EdgeSettings, encode_settings
from edgewise.clock import Clock

STEADY_MS: Final = 10_000
"""Who ran so long did not fail to start: the pauses begin anew."""
FIRST_PAUSE_MS: Final = 50
LONGEST_PAUSE_MS: Final = 10_000
FORCED: Final = {"GRPC_ENABLE_FORK_SUPPORT": "0", "OMP_NUM_THREADS": "1"}
"""In every child's environment: nothing forks here, and parallel workers are what uses the cores."""
_LOG_MOST_BYTES: Final = 8 << 20
_KILL_PATIENCE_S: Final = 5.0

OnExit = Callable[[int], Awaitable[None]]
"""Told the exit code (negative: the signal) before the process is started again."""
HasWorked = Callable[[int], bool]
"""Whether the process with this id, which has just ended, was of use before."""


def pause_after(failures: int) -> float:
    """Milliseconds before the next start, after so many failed ones in a row: 1 or more, there is no most."""
    return min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2.0 ** min(failures - 1, 40))


class Process:
    """Keeps `python -m MODULE ARGUMENT…` running; belongs to one event loop."""

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        *,
        clock: Clock,
        log: Log,
        log_file: Path | None,
        secrets: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (),
        has_worked: HasWorked = lambda _pid: False,
    ) -> None:
        """`secrets` go into the environment: arguments can be read by every user of the machine.

        `descriptors` are inherited under their numbers, each time that it is started. One that `has_worked` when it
        ended did not fail to start, however soon it was: to let it wait longer and longer would only be missed.
        """
        self.name: Final = name
        self.failures = 0
        """Ends in a row without having run steadily."""
        self.last_code: int | None = None
        self._command = [sys.executable, "-m", "edge.child", str(os.getpid()), module, *arguments]
        self._clock = clock
        self._log = log
        self._log_file = log_file
        self._secrets = dict(secrets or {})
        self._descriptors = tuple(descriptors)
        self._has_worked = has_worked
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @classmethod
    def under(
        cls,
        settings: EdgeSettings,
        name: str,
        module: str,
        *arguments: str,
        clock: Clock,
        log: Log,
        secrets: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (),
        has_worked: HasWorked = lambda _pid: False,
    ) -> Self:
        """A process that is told the node's settings; all but the token, which is for `secrets`."""
        told = encode_settings(msgspec.structs.replace(settings, enrol_token=""))
        return cls(
            name,
            module,
            [*arguments, "--settings", told],
            clock=clock,
            log=log,
            log_file=settings.paths.log(name) if settings.log_to == "files" else None,
            secrets=secrets,
            descriptors=descriptors,
            has_worked=has_worked,
        )

    @property
    def pid(self) -> int | None:
        """None while it is not running."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process is not None else None

    def start(self, on_exit: OnExit) -> None:
        """Start it, and again whenever it ends, until `stop`."""
        self._stopping = asyncio.Event()
        self.failures = 0
        self._keeper = asyncio.create_task(self._keep(on_exit), name=f"keep {self.name}")

    async def stop(self, patience_ms: float) -> None:
        """SIGTERM, and SIGKILL when that was not heeded in time; returns when the process has ended."""
        self._stopping.set()
        if self._keeper is None:
            return
        self._signal(signal.SIGTERM)
        _, late = await asyncio.wait([self._keeper], timeout=patience_ms / 1_000)
        if late:
            self._log.warning("killed: it did not end in time", child=self.name, patience_ms=patience_ms)
            self.kill()
            await asyncio.wait([self._keeper], timeout=_KILL_PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL, at once."""
        self._signal(signal.SIGKILL)

    async def _keep(self, on_exit: OnExit) -> None:
        while not self._stopping.is_set():
            started_ms = self._clock.monotonic_ms()
            self._process = await self._spawn()
            if self._stopping.is_set():
                self._signal(signal.SIGTERM)
            code = self.last_code = await self._process.wait()
            if self._stopping.is_set():
                return
            steady = self._clock.monotonic_ms() - started_ms >= STEADY_MS
            self.failures = 1 if steady or self._has_worked(self._process.pid) else self.failures + 1
            await on_exit(code)
            await pause(self._stopping, pause_after(self.failures))

    async def _spawn(self) -> asyncio.subprocess.Process:
        output = self._open_log() if self._log_file else sys.stderr.fileno()
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,  # standard output belongs to the supervisor's one announcement
                stderr=output,
                env={"GRPC_VERBOSITY": "ERROR"} | os.environ | FORCED | self._secrets,
                pass_fds=self._descriptors,
                # Ctrl-C reaches a whole terminal group; our children are to be stopped in order, by us. Not a session
                # each: Linux shares processor time out to sessions first (autogroup), so that nobody's niceness would
                # mean anything to the workers, and an agent would get as much of a core as all of a worker.
                process_group=0,
            )
        finally:
            if self._log_file:
                os.close(output)

    def _open_log(self) -> int:
        assert self._log_file is not None
        if self._log_file.exists() and self._log_file.stat().st_size > _LOG_MOST_BYTES:
            self._log_file.replace(self._log_file.with_suffix(".log.1"))
        return os.open(self._log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
