"""`edgewise train items`: from a ledger to what a node shows, without a ranker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hub_process import edgewise
from hub_records import event
from release_world import Shop

from edgewise.admission.load import Bundle, load_bundle
from edgewise.consent import Grants
from edgewise.decide import decide
from edgewise.errors import SiteError
from edgewise.events import Kind
from edgewise.ids import ArmName, BundleVersion, DecisionId, ItemId, ModelName, PlacementName, Producer, SubjectId, ulid
from edgewise.profile.state import DAY_MS, LastTouch, Profile
from edgewise.question import Question
from edgewise.records import EventRecord, Touch
from edgewise.request import Context, PlacementRequest
from hub.release.bundle import build_bundle
from hub.site.recipes import ItemsRecipe, SessionRecipe
from hub.train.history import History, read_history
from hub.train.items import fit_items

LIST = PlacementName("home_list")
ALIKE = ModelName("alike")
MODEL = """\
items:
  neighbours: {lambda: 5, content_below: 3}
  sets:
    complements: {method: complements, fewest_together: 2, shrink: 2, apart: category}
    same: {method: content, per_item: 4}
  sessions: {fewest_visitors: 3}
  vectors: {tastes: {factors: 4}}
  statistics: {popularity: {statistic: popularity}}
"""
ARMS = {
    "visits": "{method: sessions, fill_attribute: popularity, limit: 6}",
    "goes_with": "{method: neighbours, fill_attribute: popularity, limit: 6, from: complements, last: 1}",
    "instead": "{method: neighbours, fill_attribute: popularity, limit: 6}",
    "same": "{method: neighbours, fill_attribute: popularity, limit: 6, from: same}",
    "tastes": "{method: vectors, fill_attribute: popularity, limit: 6, from: tastes}",
}


def told(shop: Shop) -> list[EventRecord]:
    """Twenty visitors look at sencha, then rooibos, and order sencha with a grinder; others drink coffee."""
    records: list[EventRecord] = []

    def add(visitor: str, minute: int, name: str, items: Sequence[str]) -> None:
        now_ms = shop.clock.now_ms() - 20 * DAY_MS + minute * 60_000
        records.append(
            event(
                len(records),
                producer=Producer("import/past"),
                subject=SubjectId(visitor),
                name=name,
                time_ms=now_ms,
                received_ms=now_ms,
                touches=tuple(Touch(ItemId(item)) for item in items),
            )
        )

    for number in range(20):
        start = 200 * number
        for step, item in enumerate(["sencha", "rooibos"]):
            add(f"tea-{number}", start + step, "Product Viewed", [item])
        add(f"tea-{number}", start + 90, "Order Completed", ["sencha", "hand-grinder"])
        for step, item in enumerate(["house-blend", "kenya-aa", "decaf-blend"]):
            add(f"coffee-{number}", start + step, "Product Viewed", [item])
        add(f"coffee-{number}", start + 90, "Order Completed", ["house-blend", "kenya-aa"])
    add("tea-0", 5_000, "Product Viewed", ["peppermint"])
    return records


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    (made.site / "models").mkdir()
    (made.site / "models/alike.yaml").write_text(MODEL)
    arms = "".join(
        f"  {name}:\n    ranking: {{method: retrieval}}\n    retrieval: {retrieval}\n"
        for name, retrieval in ARMS.items()
    )
    made.edit("placements/home_list.yaml", "\narm: champion", f"\n{arms}arm: visits")
    made.ledger.append(Producer("import/past"), told(made), made.clock.now_ms())
    return made


def shown(bundle: Bundle, now_ms: int, arm: str, *looked_at: str) -> list[str]:
    """What a visitor who looked at these items, the last one just now, sees in the list."""
    items = {
        ItemId(item): LastTouch(now_ms - 60_000 * (len(looked_at) - place), Kind.VIEW)
        for place, item in enumerate(looked_at)
    }
    question = Question(
        decision_id=DecisionId(ulid(now_ms, bytes(10))),
        unit="somebody",
        placements=(PlacementRequest(LIST),),
        context=Context(),
        grants=Grants(personalisation=True, analytics=True, marketing=True),
        force={LIST: ArmName(arm)},
        explain=True,
    )

    def no_model(*_: object) -> None:
        raise AssertionError("no arm here has a model")

    outcome = decide(
        question,
        Profile(items=items),
        bundle=bundle,
        score=no_model,  # type: ignore[arg-type]
        draw=lambda _placement, _slot: 0.5,
        now_ms=now_ms,
    )
    return [item.id for item in outcome.decision.placements[LIST].items]


@pytest.mark.slow  # starts the edge's scorer, and imports what trains
def test_what_was_just_clicked_decides_what_comes_next(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--data-dir", shop.data_dir, "--site", shop.site, "--by", "Ann", "--json")
    ended = edgewise(capsys, "train", "items", "alike", *words)
    assert ended.code == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["made"]["sessions"]["items"] == 6, "only what three visitors touched"
    assert found["made"]["neighbours complements"]["items"] == 4
    assert found["made"]["vectors tastes"]["components"] == 4
    row = shop.registry.row(ALIKE, found["version"])
    assert (row.card["kind"], row.sha256) == ("items", found["sha256"])
    artefacts = shop.registry.artefacts(ALIKE, found["version"])
    built = build_bundle(
        shop.contents(), {ALIKE: artefacts}, version=BundleVersion(2), parent=None, created_ms=shop.clock.now_ms()
    )
    bundle = load_bundle(built.manifest, built.digest, built.resources)
    now_ms = shop.clock.now_ms()
    assert set(shown(bundle, now_ms, "visits", "sencha")[:2]) == {"rooibos", "hand-grinder"}
    assert shown(bundle, now_ms, "visits", "sencha", "house-blend")[:2] == ["kenya-aa", "decaf-blend"]
    assert shown(bundle, now_ms, "goes_with", "sencha")[0] == "hand-grinder"
    coffee = shown(bundle, now_ms, "goes_with", "house-blend")
    popular = shown(bundle, now_ms, "champion")
    assert coffee == popular, "two coffees are no complements: they share a category"
    assert shown(bundle, now_ms, "instead", "sencha")[0] in {"rooibos", "hand-grinder"}
    assert "peppermint" in shown(bundle, now_ms, "instead", "rooibos"), "one visitor saw it, but it is like others"
    assert set(shown(bundle, now_ms, "tastes", "rooibos")[:3]) == {"rooibos", "sencha", "hand-grinder"}
    assert set(shown(bundle, now_ms, "tastes", "kenya-aa")[:3]) == {"kenya-aa", "house-blend", "decaf-blend"}
    assert shown(bundle, now_ms, "same", "sencha")[0] == "matcha-ceremonial", "green and grassy, as the shop says"


def test_whoever_is_erased_is_in_no_visit_that_is_learned_again(shop: Shop) -> None:
    recipe = ItemsRecipe(sessions=SessionRecipe(fewest_visitors=3))

    def learned(history: History) -> bytes | None:
        return fit_items(history, recipe, len(history)).sessions_bytes

    before = learned(read_history(shop.ledger))
    shop.ledger.erase(SubjectId("tea-3"), shop.clock.now_ms())
    after = learned(read_history(shop.ledger))
    assert after == learned(History([record for record in told(shop) if record.subject != "tea-3"]))
    assert after != before


def test_a_site_hears_of_sets_that_nobody_makes(shop: Shop) -> None:
    shop.edit("models/alike.yaml", "    same:", "    sama:")
    shop.edit("models/alike.yaml", "  sessions: {fewest_visitors: 3}\n", "")
    shop.edit("models/alike.yaml", "  vectors: {tastes: {factors: 4}}\n", "")
    (shop.site / "features/visits.yaml").write_text(
        "- {type: session_score, name: visits, sentence: s}\n"
        "- {type: neighbour_score, name: goes, from: complement, sentence: s}\n"
    )
    with pytest.raises(SiteError) as wrong:
        shop.contents()
    said = [problem.message for problem in wrong.value.problems]
    assert [message.partition(";")[0].partition(": ")[2] for message in said] == [
        "no model makes sessions",
        "no model makes a set 'same'",
        "no model makes a set 'tastes'",
        "no model makes sessions",
        "no model makes a set 'complement'",
    ]


def test_a_model_that_the_site_does_not_describe_is_refused(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    ended = edgewise(capsys, "train", "items", "other", "--data-dir", shop.data_dir, "--site", shop.site)
    assert ended.code == 1
    assert "no `items` part in models/other.yaml; models with one: alike" in ended.stderr
