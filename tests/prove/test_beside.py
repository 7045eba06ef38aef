"""Threads beside a block: told when it ends, waited for, and never dead unnoticed."""

from __future__ import annotations

import threading
from typing import NoReturn

import pytest

from edgewise.errors import EdgewiseError, UnavailableError
from hub.prove.beside import beside


def test_steps_run_until_the_block_ends_and_end_what_they_began() -> None:
    begun = threading.Barrier(3)
    ended: list[str] = []

    def step(name: str, stopping: threading.Event) -> None:
        begun.wait(20.0)
        assert stopping.wait(20.0)
        ended.append(name)

    with beside(lambda stopping: step("a", stopping), lambda stopping: step("b", stopping)):
        begun.wait(20.0)
        assert ended == []
    assert sorted(ended) == ["a", "b"]


class Dying:
    """A step that dies at once, and who can be waited for."""

    def __init__(self, failure: Exception) -> None:
        self._failure = failure
        self._thread: threading.Thread | None = None
        self._begun = threading.Event()

    def __call__(self, _: threading.Event) -> None:
        self._thread = threading.current_thread()
        self._begun.set()
        raise self._failure

    def wait(self) -> None:
        """Until it is dead."""
        assert self._begun.wait(20.0)
        assert self._thread is not None
        self._thread.join(20.0)


def test_the_first_thread_that_dies_fails_the_block_though_nobody_waited_for_it() -> None:
    dying = Dying(KeyError("bundle"))

    def dies_later(stopping: threading.Event) -> None:
        assert stopping.wait(20.0)
        raise UnavailableError("too late")

    told = r"a thread of the scenario died: KeyError\('bundle'\)"
    with pytest.raises(EdgewiseError, match=told) as failed, beside(dying, dies_later):
        dying.wait()
    assert isinstance(failed.value.__cause__, KeyError)


def test_who_waits_for_a_dead_thread_is_told_what_it_died_of() -> None:
    dying = Dying(UnavailableError("nobody is at the door"))

    def waits_in_vain() -> NoReturn:
        dying.wait()
        raise UnavailableError("events are taken again: not within 30 s")

    with pytest.raises(EdgewiseError, match="nobody is at the door"), beside(dying):
        waits_in_vain()


@pytest.mark.parametrize("left", [KeyboardInterrupt(), UnavailableError("the hub did not start")])
def test_the_end_of_a_block_passes_and_its_threads_end(left: BaseException) -> None:
    ended = threading.Event()

    def step(stopping: threading.Event) -> None:
        assert stopping.wait(20.0)
        ended.set()

    with pytest.raises(type(left)) as passed, beside(step):
        raise left
    assert passed.value is left
    assert ended.is_set()
