"""What is made is kept for a while, of one release, and made by one of all who ask at once."""

import threading
from collections.abc import Callable

import pytest

from hub.made_lately import MadeLately


def counting() -> tuple[list[int], Callable[[], int]]:
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    return made, make


def test_it_is_made_once_in_a_while_for_each_key() -> None:
    _, make = counting()
    lately: MadeLately[str, int] = MadeLately(every_ms=1_000)
    release = object()
    assert [lately.get("a", make, of=release, now_ms=at) for at in (0, 999, 1_000, 1_999)] == [0, 0, 1, 1]
    assert lately.get("b", make, of=release, now_ms=1_999) == 2
    assert lately.get("a", make, of=release, now_ms=500) == 3, "a clock that jumped back keeps nothing for ever"


def test_it_is_made_anew_of_another_release() -> None:
    _, make = counting()
    lately: MadeLately[str, int] = MadeLately(every_ms=1_000)
    first, second = object(), object()
    assert [lately.get("a", make, of=of, now_ms=0) for of in (first, first, second)] == [0, 0, 1]


def test_what_fails_is_tried_again() -> None:
    _, make = counting()
    lately: MadeLately[str, int] = MadeLately(every_ms=1_000)

    def fail() -> int:
        raise ValueError("not now")

    with pytest.raises(ValueError, match="not now"):
        lately.get("a", fail, of=None, now_ms=0)
    assert lately.get("a", make, of=None, now_ms=0) == 0


def test_of_all_who_ask_at_once_one_makes_it() -> None:
    lately: MadeLately[str, int] = MadeLately(every_ms=1_000)
    made, make = counting()
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> int:
        begun.set()
        assert go_on.wait(10)
        return make()

    said: list[int] = []
    threads = [threading.Thread(target=lambda: said.append(lately.get("a", slow, of=None, now_ms=0))) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert (said, made) == ([0] * 5, [0])
