"""Processes are found by their parents, whichever thread of a parent has started them."""

from __future__ import annotations

import os
import subprocess
import sys

from hub.prove.victims import children, descendants

WAIT = "print(flush=True); input()"
BY_A_THREAD = f"""
import subprocess, sys, threading
def start():
    global child
    child = subprocess.Popen([sys.executable, "-c", {WAIT!r}])
    started.set()
    child.wait()
started = threading.Event()
threading.Thread(target=start).start()
started.wait()
print(child.pid, flush=True)
"""


def test_a_child_that_another_thread_has_started_is_found() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BY_A_THREAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(next(line for line in parent.stdout if line.strip()))
        assert children(parent.pid) == [child]
        assert {parent.pid, child} <= set(descendants(os.getpid()))
        parent.communicate("\n")
    assert children(parent.pid) == []
