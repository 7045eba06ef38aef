"""The life of a release, and that no step of it happens without the person before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from release_world import Client, Shop, tiny_model, write_without_sync

from edgewise.bundle.manifest import MANIFEST, POLICY
from edgewise.errors import BundleRefused, InputError, ModelRefused, RefusedError, UnavailableError
from edgewise.ids import BundleVersion, ItemId, ModelName
from hub.ledger.rows import ReleaseStatus
from hub.release.beginning import begin
from hub.release.candidates import CandidateFolder, read_bundle
from hub.release.verifying import Verification, verify
from hub.scoring_child import ScoringChild

COUNT = "placements/home_list.yaml", "count: 6"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def statuses(shop: Shop) -> dict[int, str]:
    return {row.version: row.status for row in reversed(shop.releases.rows())}


def change(shop: Shop, count: int) -> None:
    """Something that makes the next release another one."""
    path = shop.site / COUNT[0]
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f"count: {count}" if line.startswith("count:") else line for line in lines) + "\n")


def test_from_a_site_to_what_nodes_run(shop: Shop, tmp_path: Path) -> None:
    client = Client(tmp_path / "client", shop.releases.repository)
    version = shop.apply()
    assert statuses(shop) == {1: "candidate"}
    assert client.manifest(1) is None, "nobody approved it, so nobody signed it"
    row = shop.releases.approve(version, by="Bob")
    assert (row.status, row.approved_by) == (ReleaseStatus.APPROVED, "Bob")
    assert client.assignment() is None
    assert client.manifest(1) == shop.releases.bundle(version).manifest_bytes
    shop.releases.promote(version, by="Cleo")
    assignment = client.assignment()
    assert assignment is not None
    assert assignment.default == 1
    assert statuses(shop) == {1: "live"}
    told = [(entry.who, entry.what, entry.subject) for entry in shop.ledger.audit()]
    assert told == [
        ("Cleo", "release promote", "release 1"),
        ("Bob", "release approve", "release 1"),
        ("Ann", "site apply", "release 1"),
        ("Ann", "site apply", "journeys: abandoned-cart, content-hub, homepage-banner"),
    ]


def test_nothing_is_promoted_that_no_person_approved(shop: Shop) -> None:
    version = shop.apply()
    with pytest.raises(RefusedError, match="release 1 is candidate, no person approved it") as refused:
        shop.releases.promote(version, by="Ann")
    assert refused.value.code == "not-approved"
    with pytest.raises(RefusedError, match="no person approved it"):
        shop.releases.rollback(by="Ann", version=version)
    shop.releases.refuse(version, by="Bob", reason="wrong banner")
    for step in (shop.releases.promote, shop.releases.approve):
        with pytest.raises((RefusedError, BundleRefused)):
            step(version, by="Ann")
    assert shop.releases.live() is None
    assert statuses(shop) == {1: "refused"}
    with pytest.raises(InputError, match="no release 7; there are: 1"):
        shop.releases.promote(BundleVersion(7), by="Ann")


def test_applying_the_same_site_again_builds_nothing(shop: Shop) -> None:
    first = shop.releases.apply(shop.contents(), by="Ann")
    again = shop.releases.apply(shop.contents(), by="Ann")
    assert (first.is_new, again.is_new) == (True, False)
    assert again.release.version == 1
    change(shop, 5)
    assert shop.apply() == 2
    assert shop.releases.row(BundleVersion(2)).parent is None, "nothing is live yet"


def test_rolling_back_walks_along_what_was_live(shop: Shop) -> None:
    for count in (5, 4, 3):
        change(shop, count)
        shop.live()
    assert statuses(shop) == {1: "retired", 2: "retired", 3: "live"}
    assert shop.releases.row(BundleVersion(3)).parent == 2
    assert shop.releases.rollback(by="Dan").version == 2
    assert statuses(shop) == {1: "retired", 2: "live", 3: "retired"}
    assert shop.releases.rollback(by="Dan").version == 1
    with pytest.raises(RefusedError, match="no release was live before"):
        shop.releases.rollback(by="Dan")
    assert shop.releases.rollback(by="Dan", version=BundleVersion(3)).version == 3
    assignment = shop.releases.repository.assignment()
    assert assignment is not None
    assert (assignment.version, assignment.default) == (6, 3), "assignments only ever grow"


def test_a_plan_says_what_changes_for_visitors(shop: Shop) -> None:
    first = shop.releases.plan(shop.contents())
    assert first.live is None
    assert {str(change)[0] for change in first.changes} == {"+"}
    shop.live()
    assert shop.releases.plan(shop.contents()).changes == []
    change(shop, 5)
    shop.edit("items/teas.yaml", "title: Rooibos", "title: Rooibos Superior")
    shop.edit("collections/hero.yaml", "  - decaf-blend\n", "")
    shop.edit("placements/home_hero.yaml", "cap: {impressions: 5, days: 1}", "")
    plan = shop.releases.plan(shop.contents())
    assert plan.live == 1
    shown = [str(change) for change in plan.changes]
    assert '~ items.rooibos.content.title: "Rooibos" -> "Rooibos Superior"' in shown
    assert "~ placements.home_list.count: 6 -> 5" in shown
    assert '- placements.home_hero.cap: {"impressions":5,"days":1}' in shown
    assert any(line.startswith("~ collections.hero: ") for line in shown)
    assert len(shown) == 4
    assert plan.waiting == (ItemId("rooibos"),)
    assert statuses(shop) == {1: "live"}, "a plan writes nothing"


def test_models_come_from_the_registry(shop: Shop) -> None:
    shop.rank_by_model()
    with pytest.raises(InputError, match="no trained model 'ranker'"):
        shop.apply()
    ranker = ModelName("ranker")
    for version in (1, 2):
        shop.registry.register(ranker, tiny_model(shop.contents().features, seed=version), {}, by="Ann")
        shop.registry.approve(ranker, version, by="Ann")
    shop.registry.promote(ranker, 1, by="Ann")
    first = shop.live()
    assert shop.releases.bundle(first).manifest.provenance["model.hero"].startswith("ranker@1 ")
    shop.registry.promote(ranker, 2, by="Ann")
    changed = [change.path for change in shop.releases.plan(shop.contents()).changes]
    assert "resources.models/hero.onnx" in changed
    second = shop.live()
    assert shop.releases.bundle(second).manifest.provenance["model.hero"].startswith("ranker@2 ")
    shop.edit("features/visitor_and_item.yaml", "half_life_days: 14", "half_life_days: 15")
    with pytest.raises(ModelRefused, match="was trained on Affinity"):
        shop.apply()
    assert statuses(shop) == {1: "retired", 2: "live"}


def test_a_candidate_that_was_changed_on_disk_is_not_approved(shop: Shop) -> None:
    version = shop.apply()
    folder = shop.data_dir / "candidates" / str(version)
    assert read_bundle(folder).manifest.version == version
    policy = folder / POLICY
    policy.write_bytes(policy.read_bytes().replace(b'"count":6', b'"count":7'))
    with pytest.raises(BundleRefused, match=r"policy\.json is not what the manifest says"):
        shop.releases.approve(version, by="Bob")
    (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes() + b" ")
    with pytest.raises(BundleRefused):
        shop.releases.approve(version, by="Bob")
    assert statuses(shop) == {1: "candidate"}
    change(shop, 5)
    assert shop.apply() == 2, "a damaged candidate stops nobody from building another one"


def test_without_the_targets_key_nothing_is_signed(shop: Shop) -> None:
    version = shop.apply()
    key = shop.data_dir / "keys/targets.pem"
    pem = key.read_bytes()
    key.unlink()
    with pytest.raises(UnavailableError, match="the key of the role targets is not here"):
        shop.releases.approve(version, by="Bob")
    assert shop.releases.repository.releases() == {}
    assert statuses(shop) == {1: "candidate"}, "an approval that fails does not count"
    key.write_bytes(pem)
    shop.releases.approve(version, by="Bob")
    assert list(shop.releases.repository.releases()) == [1]


def test_without_an_online_key_nothing_is_promoted(shop: Shop) -> None:
    version = shop.apply()
    shop.releases.approve(version, by="Bob")
    (shop.data_dir / "keys/assignment.pem").unlink()
    with pytest.raises(UnavailableError, match="the key of the role assignment is not here"):
        shop.releases.promote(version, by="Bob")
    assert statuses(shop) == {1: "approved"}
    assert [entry.what for entry in shop.ledger.audit()] == ["release approve", "site apply", "site apply"]


def test_only_what_nodes_never_ran_can_be_approved_again(shop: Shop) -> None:
    version = shop.live()
    with pytest.raises(RefusedError, match="release 1 is live; expected candidate"):
        shop.releases.approve(version, by="Bob")


class Crash(BaseException):
    """The process is gone."""


class DyingDisk:
    """Dies at the write after `left` more."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self, path: Path, data: bytes) -> None:
        if self.left == 0:
            raise Crash
        self.left -= 1
        write_without_sync(path, data)


@pytest.mark.parametrize("writes", range(8))
def test_an_approval_that_crashed_is_finished_by_the_next_one(shop: Shop, writes: int) -> None:
    version = shop.apply()
    dying = shop.reopened(DyingDisk(writes))
    try:
        dying.approve(version, by="Bob")
    except Crash:
        assert shop.releases.repository.releases() == {}
        shop.releases.approve(version, by="Bob")
    assert list(shop.releases.repository.releases()) == [1]
    shop.releases.promote(version, by="Bob")
    assert shop.releases.live() == 1
    approvals = [entry for entry in shop.ledger.audit() if entry.what == "release approve"]
    assert len(approvals) == 1, "one person, one approval"


def test_an_approval_that_crashed_after_signing_leaves_no_candidate_behind(shop: Shop) -> None:
    version = shop.apply()
    built = shop.releases.bundle(version)
    shop.releases.approve(version, by="Bob")
    CandidateFolder(shop.data_dir).keep(built)
    shop.releases.approve(version, by="Cleo")
    assert not list((shop.data_dir / "candidates").glob("[0-9]*"))
    assert shop.releases.row(version).approved_by == "Bob"


def test_an_approval_that_crashed_before_signing_is_not_called_sound(shop: Shop) -> None:
    version = shop.apply()
    with pytest.raises(Crash):
        shop.reopened(DyingDisk(0)).approve(version, by="Bob")
    unsigned = found(shop, version)
    assert (unsigned.status, unsigned.signed) == ("approved", False)
    assert "`edgewise release approve 1` finishes that" in str(unsigned.problem)
    shop.releases.approve(version, by="Bob")
    assert (found(shop, version).signed, found(shop, version).problem) == (True, None)


@pytest.mark.parametrize("writes", range(4))
def test_a_promotion_that_crashed_leaves_the_old_release_live(shop: Shop, writes: int) -> None:
    shop.live()
    change(shop, 5)
    version = shop.apply()
    shop.releases.approve(version, by="Bob")
    with pytest.raises(Crash):
        shop.reopened(DyingDisk(writes)).promote(version, by="Bob")
    assert shop.releases.live() == 1
    assert statuses(shop) == {1: "live", 2: "approved"}, "what nodes run is what the signed assignment says"
    shop.releases.promote(version, by="Bob")
    assert statuses(shop) == {1: "retired", 2: "live"}


def test_rolling_back_passes_over_what_never_ran(shop: Shop) -> None:
    for count in (5, 4):
        change(shop, count)
        shop.live()
    change(shop, 3)
    third = shop.apply()
    shop.releases.approve(third, by="Bob")
    with pytest.raises(Crash):
        shop.reopened(DyingDisk(0)).promote(third, by="Bob")
    change(shop, 2)
    shop.live()
    assert statuses(shop) == {1: "retired", 2: "retired", 3: "approved", 4: "live"}
    assert shop.releases.rollback(by="Dan").version == 2
    with pytest.raises(Crash):
        shop.reopened(DyingDisk(0)).promote(third, by="Bob")
    with pytest.raises(Crash):
        shop.reopened(DyingDisk(0)).rollback(by="Dan")
    assert statuses(shop) == {1: "retired", 2: "live", 3: "approved", 4: "retired"}
    assert shop.releases.rollback(by="Dan").version == 1
    assert shop.releases.live() == 1


def assignments(shop: Shop) -> list[Path]:
    return list((shop.data_dir / "repository/targets").glob("*.assignment.json"))


def lose(path: Path) -> None:
    path.unlink()


def garble(path: Path) -> None:
    path.write_bytes(b"\xff" + path.read_bytes())


@pytest.mark.parametrize("damage", [lose, garble])
def test_promoting_again_mends_a_damaged_assignment(shop: Shop, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    client = Client(tmp_path / "client", shop.releases.repository)
    for count in (5, 4):
        change(shop, count)
        shop.live()
    shop.releases.repository.refresh()
    seen = client.assignment()
    assert seen is not None
    for path in assignments(shop):
        damage(path)
    with pytest.raises(UnavailableError, match="missing or damaged; promote a release again"):
        shop.releases.rows()
    shop.releases.promote(BundleVersion(1), by="Bob")
    assert statuses(shop) == {1: "live", 2: "retired"}
    mended = client.assignment()
    assert mended is not None
    assert (mended.default, mended.version > seen.version) == (1, True), "a node takes no number that falls"
    assert shop.releases.rollback(by="Bob").version == 2, "what was live before the damage is not forgotten"


def test_a_damaged_live_release_can_be_replaced(shop: Shop) -> None:
    version = shop.live()
    blob = shop.data_dir / "repository/blobs" / shop.releases.bundle(version).manifest.resources[POLICY].sha256
    blob.write_bytes(b"{}")
    change(shop, 5)
    plan = shop.releases.plan(shop.contents())
    assert plan.live is None
    assert "policy.json of release 1 has digest" in plan.damage
    assert shop.live() == 2
    assert shop.releases.plan(shop.contents()).damage == ""


def found(shop: Shop, version: int) -> Verification:
    with ScoringChild() as child:
        return verify(shop.releases, BundleVersion(version), now_ms=shop.clock.now_ms(), child=child)


def test_verifying_walks_from_the_signatures_to_the_scores(shop: Shop) -> None:
    ranker = ModelName("ranker")
    shop.registry.register(ranker, tiny_model(shop.contents().features), {}, by="Ann")
    shop.registry.approve(ranker, 1, by="Ann")
    shop.registry.promote(ranker, 1, by="Ann")
    shop.rank_by_model()
    version = shop.apply()
    candidate = found(shop, version)
    assert (candidate.signed, candidate.problem) == (False, None)
    shop.releases.approve(version, by="Bob")
    approved = found(shop, version)
    assert (approved.signed, approved.problem, approved.resources) == (True, None, 7)
    assert approved.golden[ModelName("hero")] < 1e-6

    blob = shop.data_dir / "repository/blobs" / shop.releases.bundle(version).manifest.resources[POLICY].sha256
    data = blob.read_bytes()
    blob.write_bytes(data[:-1] + b" ")
    assert "policy.json of release 1 has digest" in str(found(shop, version).problem)
    blob.write_bytes(data)

    root = shop.data_dir / "repository/metadata/1.root.json"
    root.write_text(root.read_text().replace('"threshold":1', '"threshold":2'))
    problem = found(shop, version).problem
    assert problem is not None
    assert problem.startswith("untrusted: ")


def test_expired_signatures_are_said_by_name(shop: Shop) -> None:
    shop.live()
    shop.clock.jump(-2 * 86_400_000)
    shop.releases.promote(BundleVersion(1), by="Bob")
    problem = found(shop, 1).problem
    assert problem is not None
    assert problem.startswith("expired: ")


def test_a_second_site_does_not_take_over_a_hub(shop: Shop, tmp_path: Path) -> None:
    shop.edit("site.yaml", "name: kettle-and-bean", "name: another-shop")
    with pytest.raises(RefusedError, match="belongs to the site 'kettle-and-bean', not to 'another-shop'"):
        shop.apply()
    begun = begin(tmp_path / "again", shop.data_dir, by="Ann")
    assert begun.keys == [], "the keys of the hub are used again"
    with pytest.raises(InputError, match="is not empty"):
        begin(tmp_path / "again", shop.data_dir, by="Ann")
