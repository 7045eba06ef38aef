"""Threads beside a block: they begin with it, are told when it ends, and none of them dies unnoticed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgewise.errors import EdgewiseError

Step = Callable[[threading.Event], None]
"""Runs in a thread of its own until the event is set."""


@contextmanager
def beside(*steps: Step) -> Iterator[None]:
    """Run these until the block ends; then wait until each has ended what it began.

    A block that fails after a thread has died fails by what the thread died of: whoever waits for what a dead visitor
    should have sent can only say that it never came. What is no failure, such as Ctrl-C, passes as it is.

    Raises:
        EdgewiseError: a thread died; the first that did says of what.
    """
    stopping = threading.Event()
    died: list[Exception] = []

    def run(step: Step) -> None:
        try:
            step(stopping)
        except Exception as failure:  # noqa: BLE001  # raised again where the block ends
            died.append(failure)

    begun: list[threading.Thread] = []
    try:
        for step in steps:
            thread = threading.Thread(target=run, args=(step,), daemon=True)
            thread.start()
            begun.append(thread)
        yield
    except Exception:
        if died:
            raise _told(died[0]) from died[0]
        raise
    finally:
        stopping.set()
        for thread in begun:
            thread.join()
    if died:
        raise _told(died[0]) from died[0]


def _told(failure: Exception) -> EdgewiseError:
    """As one of ours: it fails the scenario, and not all that were to come after it."""
    said = str(failure) if isinstance(failure, EdgewiseError) else repr(failure)
    return EdgewiseError(f"a thread of the scenario died: {said}")
