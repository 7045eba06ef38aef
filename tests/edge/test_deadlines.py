"""One timer for all connections: each ends when its time is up, and no sooner, however often it is moved."""

from __future__ import annotations

import math
import weakref

from hypothesis import given
from hypothesis import strategies as st

from edge.worker.http1.deadlines import AT_ONCE, Deadlines, Entry


class Client:
    """Something that has a deadline."""

    def __init__(self) -> None:
        self.due_ms = math.inf
        self.entry: Entry | None = None
        self.ended_ms: float | None = None

    def expire(self, now_ms: float) -> None:
        self.ended_ms = now_ms
        self.due_ms = math.inf


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("set"), st.integers(0, 4), st.integers(0, 50)),
            st.tuples(st.just("pass"), st.just(0), st.integers(0, 30)),
        ),
        max_size=80,
    )
)
def test_each_ends_in_the_first_sweep_behind_its_deadline(steps: list[tuple[str, int, int]]) -> None:
    deadlines, clients, now_ms = Deadlines(), [Client() for _ in range(5)], 0.0
    for what, which, by_ms in steps:
        if what == "set":
            client = clients[which]
            client.due_ms, client.ended_ms = now_ms + by_ms, None
            deadlines.watch(client)
            continue
        now_ms += by_ms
        expected = [client.due_ms <= now_ms for client in clients]
        before = [client.ended_ms for client in clients]
        assert not deadlines.sweep(now_ms)
        for client, is_due, ended_ms in zip(clients, expected, before, strict=True):
            assert client.ended_ms == (now_ms if is_due else ended_ms)


def test_many_that_end_together_do_so_a_few_at_a_time() -> None:
    deadlines, clients = Deadlines(), [Client() for _ in range(3 * AT_ONCE)]
    for client in clients:
        client.due_ms = 5.0
        deadlines.watch(client)
    sweeps = [deadlines.sweep(10.0) for _ in range(3)]
    assert sweeps == [True, True, False]
    assert all(client.ended_ms == 10.0 for client in clients)


def test_who_is_closed_is_not_kept_until_his_time() -> None:
    deadlines, client = Deadlines(), Client()
    client.due_ms = 1e9
    deadlines.watch(client)
    gone = weakref.ref(client)
    deadlines.forget(client)
    del client
    assert gone() is None
    assert not deadlines.sweep(2e9)
