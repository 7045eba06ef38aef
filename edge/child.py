"""The first thing that every child of the supervisor runs: `python -m edge.child PARENT_PID MODULE ARGUMENT…`.

It asks the kernel for SIGTERM when the supervisor ends, however it ends, and then becomes MODULE. A wrapper,
because the alternatives are worse: code between fork and exec (`preexec_fn`) is unsafe beside threads, and a pipe
to watch would have to be watched by every module and its own children.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def follow_parent(parent_pid: int) -> None:
    """End with the process `parent_pid`: SIGTERM then, or at once if it is gone already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        # It ended between our start and the call above.
        sys.exit(f"the supervisor {parent_pid} is gone")


def main() -> None:
    """Follow the parent, ignore SIGHUP, then run the module as `python -m` would."""
    parent_pid, module, *arguments = sys.argv[1:]
    follow_parent(int(parent_pid))
    # Who sends it to all processes of a service means the supervisor.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # structlog renders tracebacks by it where it is there: 3 MB and 40 ms a process, for what goes to no terminal.
    sys.modules["rich"] = None  # type: ignore[assignment]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
