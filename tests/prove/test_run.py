"""A scenario that comes to a bad end fails alone: the others run, and its folder is left for whoever asks why."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest
from typing_extensions import override

from edgewise.clock import SystemClock
from hub.prove.beside import beside
from hub.prove.caller import Caller
from hub.prove.figure import Figure
from hub.prove.lab import Lab
from hub.prove.order import Order
from hub.prove.run import prove
from hub.prove.scenario import Scenario


def nobody() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


class Unheard(Scenario):
    @override
    def run(self, lab: Lab, order: Order) -> list[Figure]:
        (lab.folder / "node.log").write_text("the node's last words")
        with Caller(nobody(), "key") as caller:
            caller.status()
        return []


class Misread(Scenario):
    @override
    def run(self, lab: Lab, order: Order) -> list[Figure]:
        answer: dict[str, str] = {}
        with beside(lambda _: lab.tell(answer["bundle"], 1.0)):
            return [Figure("seen", 1)]


class Sound(Scenario):
    @override
    def run(self, lab: Lab, order: Order) -> list[Figure]:
        return [Figure("seen", 1)]


def test_a_broken_connection_and_a_dead_thread_fail_their_scenarios_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    scenarios = [Unheard("unheard", "", ()), Misread("misread", "", ()), Sound("sound", "", ())]
    unheard, misread, sound = prove(scenarios, Order(), SystemClock(), lambda _: lambda *_: None)
    assert "/status: no whole answer: " in unheard.failed
    assert (Path(unheard.logs) / "node.log").read_text() == "the node's last words"
    assert "KeyError('bundle')" in misread.failed
    assert not misread.passed
    assert (sound.passed, sound.logs) == (True, "")
    assert sorted(tmp_path.iterdir()) == sorted([Path(unheard.logs), Path(misread.logs)])
