"""Who is interrupted while he starts a process still knows it afterwards."""

from __future__ import annotations

import signal
import threading

import pytest

from hub.processes import undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_handled_after_what_it_must_not_disturb(number: signal.Signals) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    done = []

    def start() -> None:
        with undisturbed():
            signal.raise_signal(number)
            done.append("started")

    before = signal.signal(number, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            start()
        assert done == ["started"]
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, before)


def test_threads_are_never_interrupted() -> None:
    done = []

    def start() -> None:
        with undisturbed():
            done.append("started")

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert done == ["started"]
