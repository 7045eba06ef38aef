"""Runs `edge.agent.trial` for the agent, and puts into words how it ended.

First with processor time that nobody else wants (`trial_idle_ms`): the kernel gives a process that is only nice 4 ms
whenever a worker has worked for as long without a pause, and visitors wait for that. A trial that never gets any, on a
node without a pause, is tried again as a nice one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import Final

import msgspec

from edge.agent.trial import Verdict
from edge.settings import EdgeSettings
from edgewise.errors import MALFORMED

START_S: Final = 30.0
"""What a process may take to start on a busy machine, on top of the processor time that its trial may use."""
_ANSWER_MOST_BYTES: Final = 64 << 10


class TrialProcess:
    """Tries staged bundles, each in a child of its own."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings

    async def __call__(self, digest: str) -> Verdict:
        """What the trial says; a child that died or hung is a verdict, too."""
        idle_s, most_s = self._settings.trial_idle_ms / 1_000, self._settings.trial_cpu_seconds + START_S
        return (
            (await self._try(digest, idle_s, is_idle=True) if idle_s else None)
            or await self._try(digest, most_s, is_idle=False)
            or Verdict("trial_timeout", f"the trial took longer than {most_s:.0f} s")
        )

    async def _try(self, digest: str, most_s: float, *, is_idle: bool) -> Verdict | None:
        """None if it did not end in time."""
        settings = self._settings
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "edge.child", str(os.getpid()), "edge.agent.trial"),
            *("--folder", str(settings.paths.root), "--digest", digest),
            *("--memory-bytes", str(settings.trial_memory_bytes)),
            *("--cpu-seconds", str(settings.trial_cpu_seconds)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            limit=_ANSWER_MOST_BYTES,
        )
        if is_idle:
            # By the parent: the child would have started its interpreter at the workers' cost by then.
            with contextlib.suppress(OSError):
                os.sched_setscheduler(child.pid, os.SCHED_IDLE, os.sched_param(0))
        try:
            answer, _ = await asyncio.wait_for(child.communicate(), most_s)
        except TimeoutError:
            child.kill()
            await child.wait()
            return None
        code = child.returncode or 0
        if code < 0:
            number = signal.Signals(-code)
            if number is signal.SIGXCPU:
                return Verdict("cpu", f"loading takes more than {settings.trial_cpu_seconds} s of processor time")
            return Verdict("crash", f"loading ended the trial process with {number.name}")
        try:
            return msgspec.json.decode(answer, type=Verdict)
        except MALFORMED:
            return Verdict("crash", f"the trial process ended with exit code {code} and no verdict")
