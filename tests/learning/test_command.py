"""`edgewise hub learn`: one turn by command, told as JSON; what a person may do; errors in a line."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path

import pytest
import structlog
from edge_world import silent_log
from hub_process import edgewise
from loop_world import LoopShop
from structlog.testing import LogCapture

from hub.learning.schedule import LearningKeeper, variables_of
from hub.ledger.learning import TurnState
from hub.log import Log
from hub.settings import HubSettings, load_settings


def learn(capsys: pytest.CaptureFixture[str], data_dir: Path, *words: str) -> tuple[int, str, str]:
    ended = edgewise(capsys, "hub", "learn", "--data-dir", data_dir, *words)
    assert "Traceback" not in ended.stderr
    return ended.code, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--approve", "1", "--promote", "2"), "--approve and --promote: one at a time"),
        (("--halt",), "expected --reason"),
        (("--refuse", "1"), "expected --reason"),
        (("--answer", "1=yes"), "--answer goes with --approve"),
        (("--turn", "1"), "--turn goes with --history"),
        (("--history", "--turn", "7"), "no turn 7 of the learning loop"),
        ((), "which site is learned for?"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_line(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = learn(capsys, tmp_path, *words)
    assert (code, out) == (1, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_a_history_without_turns_and_the_switch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = learn(capsys, tmp_path, "--history", "--json")
    assert (code, json.loads(out)["turns"], json.loads(out)["halted"]) == (0, [], False)
    page = tmp_path / "page.html"
    assert learn(capsys, tmp_path, "--halt", "--reason", "a sale", "--by", "Ann", "--html", str(page))[0] == 0
    assert "Ann halted the learning loop: a sale" in page.read_text()
    assert json.loads(learn(capsys, tmp_path, "--history", "--json")[1])["switch"]["who"] == "Ann"
    assert learn(capsys, tmp_path, "--resume", "--by", "Bo", "--json")[0] == 0


def test_the_child_of_a_hub_gets_the_settings_of_the_loop() -> None:
    settings = HubSettings(
        learn_every_ms=5, learn_site="shop", learn_mail_to=["a@x", "b@x"], learn_incremental=True, learn_fewest=7
    )
    assert load_settings(None, variables_of(settings)) == settings


@pytest.mark.slow
def test_a_turn_by_command_waits_for_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the site's own trainer, which finds too little here, and says so as the turn's end."""
    shop = LoopShop(tmp_path)
    shop.clock.jump(-3_600_000)  # they came in the hour before now
    shop.click(120)
    shop.ledger.close()
    words = ("--site", str(shop.site), "--json", "--quiet")
    code, out, err = learn(capsys, shop.data_dir, *words)
    assert code == 0, err
    (turn,) = json.loads(out)["turns"]
    assert (turn["state"], turn["model"]) == (TurnState.STOPPED, "hero")
    assert "expected at least" in turn["reason"]
    told = json.loads(learn(capsys, shop.data_dir, "--history", "--turn", "1", "--json")[1])
    assert [step["name"] for step in told["steps"]] == ["data", "train", "train"]
    assert told["steps"][0]["result"]["outcomes"] == 120
    code, out, _ = learn(capsys, shop.data_dir, *words)
    again = json.loads(out)
    assert again["turns"] == [], "what was refused is not tried again on the same data"
    assert again["idle"]["hero"].startswith("0 new")


def told_to(capture: LogCapture) -> Log:
    level = structlog.make_filtering_bound_logger(logging.DEBUG)
    log: Log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[capture], wrapper_class=level)
    return log


@pytest.mark.slow
@pytest.mark.process
def test_a_hub_goes_around_in_a_process_of_its_own_and_logs_what_came_of_it(tmp_path: Path) -> None:
    shop = LoopShop(tmp_path)
    shop.clock.jump(-3_600_000)  # they came in the hour before now
    shop.click(120)
    shop.ledger.close()
    settings = HubSettings(learn_every_ms=1_000, learn_site=str(shop.site))
    capture = LogCapture()
    keeper = LearningKeeper(shop.data_dir, settings, log=told_to(capture), environment={})
    asyncio.run(keeper.once())
    (entry,) = capture.entries
    assert (entry["event"], entry["number"], entry["state"]) == ("learning turn", 1, "stopped")
    assert "expected at least" in entry["reason"]


@pytest.mark.process
def test_a_hub_that_stops_ends_the_process_that_learns(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    os.mkfifo(told)
    words = "import os, signal, sys; open(sys.argv[1], 'w').write(str(os.getpid())); signal.pause()"
    command = (sys.executable, "-c", words, str(told))
    settings = HubSettings(learn_every_ms=1_000, learn_site="shop")

    async def begin_and_stop() -> int:
        keeper = LearningKeeper(tmp_path, settings, log=silent_log(), environment={}, command=command)
        running = asyncio.create_task(keeper.run())
        pid = int(await asyncio.to_thread(told.read_text))  # it is there, and waits
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return pid

    pid = asyncio.run(begin_and_stop())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.process
def test_a_process_that_fails_or_says_nothing_is_logged_and_nothing_else(tmp_path: Path) -> None:
    settings = HubSettings(learn_every_ms=1_000, learn_site="shop")
    capture = LogCapture()
    for words in ("import sys; sys.exit('it broke')", "pass"):
        command = (sys.executable, "-c", words)
        keeper = LearningKeeper(tmp_path, settings, log=told_to(capture), environment={}, command=command)
        asyncio.run(keeper.once())
    assert [(entry["log_level"], entry["reason"]) for entry in capture.entries] == [
        ("error", "it broke"),
        ("error", "it said nothing"),
    ]


def test_without_an_interval_or_a_site_nothing_begins(tmp_path: Path) -> None:
    capture = LogCapture()
    for settings in (HubSettings(), HubSettings(learn_every_ms=1_000)):
        asyncio.run(LearningKeeper(tmp_path, settings, log=told_to(capture), environment={}).run())
    assert [entry["event"] for entry in capture.entries] == [
        "nothing is learned: learn_every_ms is set, and learn_site says no site"
    ]
