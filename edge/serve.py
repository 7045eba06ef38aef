"""Runs a supervisor in this process, with signals: what `edgewise edge serve` does after reading its options."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from edge.log import start_log
from edge.settings import EdgeSettings
from edge.supervisor import Serving, Supervisor
from edgewise.clock import SystemClock


def serve_until_stopped(settings: EdgeSettings, *, announce: Callable[[Serving], None]) -> None:
    """Run one node until SIGTERM or SIGINT.

    Raises:
        EdgewiseError: what `Supervisor.run` raises.
    """
    log = start_log("supervisor", settings.log_level)
    supervisor = Supervisor(settings, clock=SystemClock(), log=log, announce=announce)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, supervisor.stop)
        await supervisor.run()

    asyncio.run(run())
