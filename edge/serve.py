"""Runs a supervisor in this process, with signals and systemd: what `edgewise edge serve` does after its options."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from edge.log import start_log
from edge.settings import EdgeSettings
from edge.supervisor import Serving, Supervisor
from edge.systemd import VARIABLES, Notifier, passed_socket
from edgewise.clock import SystemClock


def serve_until_stopped(
    settings: EdgeSettings, *, reread: Callable[[], EdgeSettings], announce: Callable[[Serving], None]
) -> None:
    """Run one node until SIGTERM or SIGINT; at SIGHUP take over what `reread` says then.

    Raises:
        EdgewiseError: what `Supervisor.run` raises.
    """
    log = start_log("supervisor", settings.log_level)
    notifier, passed = Notifier(os.environ, os.getpid()), passed_socket(os.environ, os.getpid())
    for name in VARIABLES:
        os.environ.pop(name, None)
    supervisor = Supervisor(
        settings,
        clock=SystemClock(),
        log=log,
        announce=announce,
        reread=reread,
        notifier=notifier,
        passed=passed,
    )
    terminals = [descriptor for descriptor in (0, 1, 2) if os.isatty(descriptor)]

    def hang_up() -> None:
        """A terminal that is closed sends SIGHUP, too, and means the end."""
        if terminals and not any(map(os.isatty, terminals)):
            supervisor.stop()
        else:
            supervisor.reload()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, supervisor.stop)
        loop.add_signal_handler(signal.SIGHUP, hang_up)
        await supervisor.run()

    asyncio.run(run())
