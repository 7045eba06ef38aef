"""`edgewise replay` and `edgewise explain` as people type them: what they print, and with which exit code they end."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_process import Finished, edgewise
from hub_records import decision_id
from replay_world import ReplayShop, replay_shop
from world import CHALLENGER, HERO, LIST

from edgewise.ids import BundleVersion
from edgewise.records import DecisionRecord

BY_MODEL = {"options": {"force": {HERO: CHALLENGER, LIST: CHALLENGER}}}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayShop]:
    with replay_shop(tmp_path_factory.mktemp("shop")) as made:
        yield made


@pytest.fixture
def record(shop: ReplayShop) -> DecisionRecord:
    visitor = f"visitor-{next(_numbers)}"
    shop.track("film-5", visitor)
    return shop.decided(BY_MODEL, visitor=visitor)


class Run:
    """Commands over one data folder."""

    def __init__(self, capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
        self._capsys = capsys
        self._data_dir = data_dir

    def __call__(self, *words: str) -> Finished:
        ended = edgewise(self._capsys, *words, "--data-dir", self._data_dir)
        assert "Traceback" not in ended.stderr
        return ended


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], shop: ReplayShop) -> Run:
    return Run(capsys, shop.hub.data_dir)


def test_replay_says_identical_for_people_and_as_json(run: Run, record: DecisionRecord) -> None:
    ended = run("replay", record.decision_id)
    assert (ended.code, ended.stderr) == (0, "")
    assert f"{record.decision_id} is identical, made with bundle 7 ({record.bundle_digest[:12]})" in ended.stdout
    told = run("replay", record.decision_id, "--json").told
    assert told["identical"] is True
    assert told["sha256"] == told["replayed_sha256"]
    assert (told["bundle_version"], told["bundle_digest"]) == (7, record.bundle_digest)
    assert (told["difference"], told["missing"], told["notes"]) == (None, [], [])
    quiet = run("replay", record.decision_id, "--quiet")
    assert (quiet.code, quiet.stdout) == (0, "")


def test_replay_of_a_changed_record_ends_with_1_and_says_where(
    run: Run, shop: ReplayShop, record: DecisionRecord
) -> None:
    decision = json.loads(record.decision)
    decision["placements"][LIST]["items"][3]["score"] = 9.25
    shop.hub.tamper(record, decision=json.dumps(decision).encode())
    ended = run("replay", record.decision_id)
    assert ended.code == 1
    assert f"{record.decision_id} differs, made with bundle 7" in ended.stdout
    assert f"at $.decision.placements.{LIST}.items[3].score:\n  logged    9.25\n  replayed  " in ended.stdout
    ended = run("replay", record.decision_id, "--json")
    assert ended.code == 1
    difference = json.loads(ended.stdout)["difference"]
    assert difference["path"] == f"$.decision.placements.{LIST}.items[3].score"
    assert difference["logged"] == 9.25


def test_replay_says_which_part_of_the_profile_is_missing(run: Run, shop: ReplayShop, record: DecisionRecord) -> None:
    shop.hub.tamper(record, applied={**record.applied, "n-gone/2/1": 1_234})
    said = run("replay", record.decision_id).stdout
    assert "the profile could not be rebuilt: n-gone/2/1: applied up to 1,234 there, nothing here" in said


@pytest.mark.parametrize("command", ["replay", "explain"])
def test_an_unknown_decision_is_refused_in_one_sentence(run: Run, command: str) -> None:
    unknown = decision_id(1)
    ended = run(command, unknown)
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"error: the ledger holds no decision '{unknown}'; expected the id of one")
    ended = run(command, unknown, "--json")
    assert ended.code == 1
    assert unknown in json.loads(ended.stdout)["error"]["message"]


@pytest.mark.parametrize("command", ["replay", "explain"])
def test_without_an_id_the_usage_is_shown(run: Run, command: str) -> None:
    ended = run(command)
    assert ended.code == 2
    assert "DECISION_ID" in ended.stderr


def test_replay_names_a_bundle_that_is_not_here(run: Run, shop: ReplayShop, record: DecisionRecord) -> None:
    shop.hub.tamper(record, bundle_version=BundleVersion(9), bundle_digest="e" * 64)
    ended = run("replay", record.decision_id, "--json")
    assert ended.code == 1
    assert json.loads(ended.stdout)["error"] == {
        "code": "unknown-release",
        "message": f"no release 9; there are: 7; its bundle {'e' * 64} is not here",
        "problems": [],
    }


def test_damaged_records_are_refused_not_traced(run: Run, shop: ReplayShop, record: DecisionRecord) -> None:
    rows = record.shown[LIST]
    shop.hub.tamper(record, decision=b"\xff")
    assert run("replay", record.decision_id).code == 1
    ended = run("explain", record.decision_id)
    assert ended.code == 1
    assert f"decision {record.decision_id} was logged damaged" in ended.stderr
    shop.hub.tamper(record, shown={LIST: type(rows)(rows.names, rows.items, rows.data[:-2])})
    assert run("replay", record.decision_id).code == 1
    ended = run("explain", record.decision_id)
    assert ended.code == 1
    assert f"{len(rows.data) - 2} bytes of features in {LIST}, expected {len(rows.data)}" in ended.stderr
    shop.hub.overwrite(record.decision_id, b"\x00")
    for command in ("replay", "explain"):
        ended = run(command, record.decision_id)
        assert ended.code == 1
        assert f"record of decision '{record.decision_id}' is damaged" in ended.stderr


def test_explain_tells_people_what_was_asked_shown_seen_and_what_came_of_it(
    run: Run, shop: ReplayShop, record: DecisionRecord
) -> None:
    first = record.shown[HERO].items[0]
    shop.track(first, event="Content Clicked", properties={"itemId": first, "decisionId": record.decision_id})
    shop.report()
    said = " ".join(run("explain", record.decision_id).stdout.split())
    for part in (
        f"made 2025-10-09T08:53:20.000+00:00 by {record.producer}",
        "granted personalisation, analytics",
        "page not said",
        f"came of it click {first}",
        "causes decided again",
        f"{HERO}: MODEL, arm {CHALLENGER}",
        f"Film {first.removeprefix('film-')} ({first})",
        "Because you looked at Film 5",
        "what the model saw, by slot feature 1 2 3 4 5",
        "what the model saw, by slot feature 6 7 8 9 10",
        *record.shown[LIST].names,
    ):
        assert part in said
    assert run("explain", record.decision_id, "--json").told["outcomes"][0]["item"] == first


def test_explain_shows_an_incomplete_record_as_far_as_it_goes(
    run: Run, shop: ReplayShop, record: DecisionRecord
) -> None:
    rows = record.shown[LIST]
    width = len(rows.data) // len(rows.items)
    shop.hub.tamper(record, shown={LIST: type(rows)(rows.names, rows.items[1:], rows.data[width:])})
    ended = run("explain", record.decision_id)
    assert ended.code == 0
    assert "what the model saw" in ended.stdout
