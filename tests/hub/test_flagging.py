"""What staff flag is asked of every release after it: gone, answered, or the release is not approved."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from edge_world import bundle_files
from replay_world import POLICY, ReplayShop, replay_shop
from world import CHALLENGER, HERO, LIST, NOW_MS, manifest

from edgewise.bundle.manifest import encode_manifest
from edgewise.bundle.policy import Policy
from edgewise.decision import Decision
from edgewise.errors import EdgewiseError, InputError, RefusedError
from edgewise.ids import BundleVersion, ItemId
from edgewise.records import DecisionRecord
from edgewise.terminal import Terminal
from hub.commands import explain as explain_command
from hub.commands import release as release_command
from hub.flagging import Verdict, approve_release, closings, flag_item, verdicts
from hub.ledger.flags import Flag, FlagState
from hub.ledger.rows import AuditEntry, ReleaseRow, ReleaseStatus
from hub.release.bundle import BuiltBundle
from hub.release.candidates import CandidateFolder
from hub.release.releases import Releases
from hub.scoring_child import ScoringChild

BY_MODEL: dict[str, Any] = {"options": {"force": {HERO: CHALLENGER, LIST: CHALLENGER}}}
NEVER_MS = 4_000_000_000_000
_numbers = itertools.count(8)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[ReplayShop]:
    with replay_shop(tmp_path) as made:
        yield made


def hero(record: DecisionRecord) -> ItemId:
    return msgspec.json.decode(record.decision, type=Decision).placements[HERO].items[0].id


def candidate(shop: ReplayShop, policy: Policy = POLICY) -> BundleVersion:
    """A release that nobody has approved yet."""
    files = bundle_files(policy)
    version = BundleVersion(next(_numbers))
    # approving asks the real clock whether a bundle may still be installed
    made = msgspec.structs.replace(manifest(files), version=version, expires_ms=NEVER_MS)
    built = BuiltBundle(encode_manifest(made), files)
    CandidateFolder(shop.hub.data_dir).keep(built)
    row = ReleaseRow(version, built.digest, NOW_MS, status=ReleaseStatus.CANDIDATE)
    shop.hub.ledger.add_release(row, AuditEntry("Ann", "site apply", f"release {version}"))
    return version


def without(item: ItemId) -> Policy:
    """A site that does not show this item any more."""
    kept = {name: [one for one in items if one != item] for name, items in POLICY.collections.items()}
    placements = {
        name: msgspec.structs.replace(placed, fallback=[one for one in placed.fallback if one != item] or [kept_one])
        for name, placed in POLICY.placements.items()
        for kept_one in kept[placed.collection][:1]
    }
    return msgspec.structs.replace(POLICY, collections=kept, placements=placements)


def flagged(shop: ReplayShop, words: str = "a film for grown-ups") -> tuple[DecisionRecord, Flag]:
    shop.track("film-5")
    record = shop.decided(BY_MODEL)
    return record, flag_item(shop.hub.ledger, record.decision_id, words, by="Eve", now_ms=NOW_MS, placement=HERO)


def judged(shop: ReplayShop, version: BundleVersion) -> list[Verdict]:
    with ScoringChild() as child:
        return verdicts(shop.hub.ledger, Releases(shop.hub.data_dir, shop.hub.ledger), child, version)


def approve(shop: ReplayShop, version: BundleVersion, **answers: str) -> list[Verdict]:
    said = {int(number.removeprefix("flag_")): why for number, why in answers.items()}
    return approve_release(shop.hub.data_dir, version, by="Bob", answers=said)[1]


def states(shop: ReplayShop) -> list[FlagState]:
    return [flag.state for flag in shop.hub.ledger.flags()]


def test_a_release_that_shows_it_again_is_not_approved_until_somebody_answers(shop: ReplayShop) -> None:
    record, flag = flagged(shop)
    assert (flag.item, flag.rank, flag.state) == (hero(record), 1, FlagState.OPEN)
    version = candidate(shop)
    with pytest.raises(RefusedError, match=f"flag 1 by Eve .*{flag.item} stands at place 1 of {HERO} again") as refused:
        approve(shop, version)
    assert refused.value.code == "flagged"
    assert states(shop) == [FlagState.OPEN]
    approve(shop, version, flag_1="he is grown up")
    (kept,) = shop.hub.ledger.flags()
    assert (kept.state, kept.answer, kept.answered_by, kept.release) == (
        FlagState.ANSWERED, "he is grown up", "Bob", version,
    )  # fmt: skip
    assert approve(shop, candidate(shop)) == [], "who has answered is not asked again"


@pytest.mark.slow
def test_a_release_that_does_not_show_it_is_approved_and_one_that_shows_it_again_is_asked(shop: ReplayShop) -> None:
    record, _ = flagged(shop)
    mended = candidate(shop, without(hero(record)))
    (verdict,) = approve(shop, mended)
    assert verdict.stands is False
    assert states(shop) == [FlagState.FIXED]
    with pytest.raises(RefusedError, match="again"):
        approve(shop, candidate(shop))


@pytest.mark.slow
def test_nobody_gets_around_the_question(shop: ReplayShop) -> None:
    flagged(shop)
    version = candidate(shop)
    releases = Releases(shop.hub.data_dir, shop.hub.ledger)
    with pytest.raises(RefusedError, match="says nothing of flag 1"):
        releases.approve(version, by="Bob")
    assert shop.hub.ledger.release(version) == releases.row(version)
    assert releases.row(version).status is ReleaseStatus.CANDIDATE


@pytest.mark.slow
def test_what_cannot_be_asked_again_has_to_be_answered(shop: ReplayShop) -> None:
    record, _ = flagged(shop)
    shop.hub.tamper(record, applied={"node-9/1/0": 7})
    version = candidate(shop, without(hero(record)))
    (verdict,) = judged(shop, version)
    assert verdict.stands is None
    assert "it cannot be asked again as it was" in verdict.found
    with pytest.raises(RefusedError, match="flag 1"):
        approve(shop, version)
    approve(shop, version, flag_1="the item is not in the shop any more")


@pytest.mark.slow
def test_a_flag_goes_with_its_person(shop: ReplayShop) -> None:
    record, _ = flagged(shop)
    shop.hub.ledger.erase(record.subject, NOW_MS + 1)
    assert shop.hub.ledger.flags() == []
    assert approve(shop, candidate(shop)) == []


@pytest.mark.slow
def test_which_item_is_meant_has_to_be_clear(shop: ReplayShop) -> None:
    record = shop.decided(BY_MODEL)
    ledger, said = shop.hub.ledger, {"by": "Eve", "now_ms": NOW_MS}
    with pytest.raises(InputError, match="items, say which by --placement and --item"):
        flag_item(ledger, record.decision_id, "odd", **said)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no such item"):
        flag_item(ledger, record.decision_id, "odd", item=ItemId("nothing"), **said)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="got 0 characters"):
        flag_item(ledger, record.decision_id, "  ", placement=HERO, **said)  # type: ignore[arg-type]
    flag_item(ledger, record.decision_id, "odd", placement=HERO, **said)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="flagged already, as 1"):
        flag_item(ledger, record.decision_id, "odd", placement=HERO, **said)  # type: ignore[arg-type]


def test_an_answer_to_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="--answer 7: no such flag asks; those that do: none"):
        closings(BundleVersion(1), [], {7: "why"})


def run(capsys: pytest.CaptureFixture[str], app: typer.Typer, *words: object) -> tuple[int, str]:
    code = 0
    try:
        app([str(word) for word in words])
    except SystemExit as left:
        code = int(left.code or 0)
    except EdgewiseError as refused:
        Terminal().problem(refused)
        code = 1
    said = capsys.readouterr()
    return code, said.out + said.err


@pytest.mark.slow
def test_by_command(shop: ReplayShop, capsys: pytest.CaptureFixture[str]) -> None:
    record = shop.decided(BY_MODEL)
    folder = ("--data-dir", shop.hub.data_dir)
    explain = (explain_command.app, record.decision_id, *folder)
    code, said = run(capsys, *explain, "--flag", "too dear", "--placement", HERO, "--by", "Eve", "--json")
    assert (code, json.loads(said)["flag"]["item"]) == (0, hero(record))
    code, said = run(capsys, *explain)
    assert code == 0
    assert "too dear (Eve, open)" in said
    assert run(capsys, *explain, "--item", "x")[0] == 2
    version = candidate(shop)
    release = release_command.app
    code, said = run(capsys, release, "flags", *folder, "--against", version)
    assert (code, "again" in said) == (1, True)
    code, said = run(capsys, release, "approve", version, *folder, "--by", "Bob")
    assert (code, "--answer 1='why it is right'" in said) == (1, True)
    assert run(capsys, release, "approve", version, *folder, "--by", "Bob", "--answer", "because")[0] == 2
    code, said = run(capsys, release, "approve", version, *folder, "--by", "Bob", "--answer", "1=it is worth it")
    assert (code, f"release {version} is approved by Bob" in said) == (0, True)
    code, said = run(capsys, release, "flags", *folder)
    assert (code, "it is worth it" in said) == (0, True)
