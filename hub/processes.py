"""A hub and edge nodes on loopback, as the processes that a person would start; ended by their pid, never by name."""

from __future__ import annotations

import itertools
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Self

import msgspec

from edgewise.clock import Clock
from edgewise.errors import MALFORMED, UnavailableError

EDGEWISE: Final = (sys.executable, "-c", "from edgewise.cli import main; main()")
"""The command `edgewise`, of this installation."""
START_LIMIT_MS: Final = 60_000
STOP_LIMIT_S: Final = 20
LONGEST_WORDS: Final = 300
"""Characters of a last line that a message repeats."""


class Served:
    """One `edgewise … serve --json` process; its first line says where it answers."""

    def __init__(self, name: str, arguments: list[str], log: Path, clock: Clock) -> None:
        self.name = name
        self._command = [*EDGEWISE, *arguments, "--json"]
        self._log = log
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self.said: dict[str, Any] = {}

    def start(self) -> Self:
        """Start it, and wait until it answers.

        Raises:
            UnavailableError: it ended, or said nothing for START_LIMIT_MS; the end of its log is quoted.
        """
        self._log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"}
        try:
            with self._log.open("ab") as log, undisturbed():
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment
                )
            line = self._first_line(self._process)
        except BaseException:  # whoever is interrupted while he waits has no `with` block yet that would end it
            self.stop()
            raise
        try:
            self.said = msgspec.json.decode(line, type=dict[str, Any])
        except MALFORMED:
            self.stop()
            raise UnavailableError(f"the {self.name} did not start: {self._last_words()}") from None
        return self

    @property
    def pid(self) -> int:
        """Of the process that runs now, or ran last. Raises UnavailableError before the first start."""
        if self._process is None:
            raise UnavailableError(f"the {self.name} was not started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def become(self, successor: Served) -> None:
        """Start a successor in its place: the same name and addresses, after this one was killed."""
        self._command = successor._command
        self.start()

    def kill(self) -> None:
        """End it without warning, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._ended(self._process)

    def stop(self) -> None:
        """Ask it to end, and insist after STOP_LIMIT_S."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._ended(self._process)
        except subprocess.TimeoutExpired:
            self.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @staticmethod
    def _ended(process: subprocess.Popen[bytes]) -> None:
        process.wait(STOP_LIMIT_S)
        if process.stdout is not None:
            process.stdout.close()

    def _first_line(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        deadline_ms = self._clock.monotonic_ms() + START_LIMIT_MS
        line = b""
        while not line.endswith(b"\n"):
            left_ms = deadline_ms - self._clock.monotonic_ms()
            if left_ms <= 0 or not select.select([descriptor], [], [], left_ms / 1_000)[0]:
                return line
            piece = os.read(descriptor, 4_096)
            if not piece:
                return line
            line += piece
        return line

    def _last_words(self) -> str:
        said = self._log.read_bytes() if self._log.exists() else b""
        return last_words(said) if said.strip() else f"it said nothing; see {self._log}"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals whose handlers may raise wait until the end of this block, where they are handled.

    `subprocess.Popen` that is left by an exception does not say which process it has started: nobody would end that.
    Handlers are exchanged instead of signals blocked, because a child inherits what is blocked.
    """
    if threading.current_thread() is not threading.main_thread():  # only that one is ever interrupted
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    before = {
        number: handler for number in (signal.SIGINT, signal.SIGTERM) if callable(handler := signal.getsignal(number))
    }
    try:
        for each in before:
            signal.signal(each, lambda *arguments: came.append(arguments))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for signalled, frame in came:
            before[signal.Signals(signalled)](signalled, frame)


def run_edgewise(words: Sequence[str], timeout_s: float | None = None) -> bytes:
    """Run one command to its end, as a person would; what it printed.

    Raises:
        UnavailableError: it failed, or did not end in time; the end of what it said is quoted.
    """
    name = " ".join(itertools.takewhile(lambda word: not word.startswith("-"), words))
    try:
        done = subprocess.run(
            [*EDGEWISE, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"`edgewise {name}` did not end within {timeout_s:.0f} s") from None
    if done.returncode:
        raise UnavailableError(f"`edgewise {name}` failed, exit code {done.returncode}: {last_words(done.stderr)}")
    return done.stdout


def last_words(said: bytes) -> str:
    """The last line of what a process said on standard error, for a message."""
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:LONGEST_WORDS] if lines else "it said nothing"


def hub(data_dir: Path, log: Path, clock: Clock, *, grpc: str = "127.0.0.1:0", admin: str = "127.0.0.1:0") -> Served:
    """A hub on loopback."""
    arguments = ["hub", "serve", "--data-dir", str(data_dir), "--grpc", grpc, "--admin", admin]
    return Served("hub", arguments, log, clock)


def edge(
    name: str,
    data_dir: Path,
    hub_address: str | None,
    log: Path,
    clock: Clock,
    *,
    workers: int = 1,
    port: int = 0,
    config: Path | None = None,
) -> Served:
    """An edge node on loopback; without a hub's address it serves what it holds, or the starter bundle.

    One worker, unless told otherwise: the demo shares two cores between two nodes, a hub and itself.
    """
    arguments = ["edge", "serve", "--port", str(port), "--workers", str(workers), "--data-dir", str(data_dir)]
    arguments += ["--hub", hub_address] if hub_address is not None else []
    arguments += ["--config", str(config)] if config is not None else []
    return Served(name, arguments, log, clock)
