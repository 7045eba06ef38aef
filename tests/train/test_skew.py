"""Served features equal training features: what a node logged when it decided is what training replays, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from edge_world import DEMO, KEYS, LOCAL, open_desk, spooled
from ranker_world import HISTORY, NOW_MS, RANKER, films, review
from ranker_world import shop as film_shop
from release_world import write_without_sync
from starlette.testclient import TestClient

from edge.node.bundles import BundleStore
from edge.node.layout import NodePaths
from edge.worker.app import make_app
from edgewise.clock import ManualClock
from edgewise.ids import DecisionId, ItemId, ModelName, PlacementName, Producer, SubjectId
from edgewise.records import Record, encode_record
from edgewise.subjects import subject_of
from hub.demo.story import LIKED
from hub.keys import make_keys
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger, open_ledger
from hub.release.releases import Releases
from hub.replay import Replayer
from hub.scoring_child import ScoringChild
from hub.site.loading import SiteContents, load_site
from hub.site.recipes import RankerRecipe
from hub.train.dataset import RankingRows, replayed_rows
from hub.train.history import History, read_history
from hub.train.items import fit_items
from hub.train.logged import NOT_SHOWN, LoggedRows, logged_rows
from hub.train.ranker import recipe_of, train_ranker
from hub.train.shop import Shop
from hub.train.skew import measure_skew

LIST = PlacementName("film_list")
ASKED = {"placements": [{"name": LIST}]}
PAGES = [
    {"device": {"type": "mobile"}, "geo": {"country": "DE"}, "utcOffsetMinutes": 60, "attributes": {"rain": True}},
    {"device": {"type": "desktop"}, "locale": "en-GB", "network": {"type": "home"}, "utcOffsetMinutes": -300},
    {},
]
MORE_FEATURES = """
- {type: affinity_sum, name: genre_sum, dimension: category, half_life_days: 30}
- {type: affinity_window, name: genre_week, dimension: category, days: 7}
- {type: last_match, name: genre_again, dimension: category, last: 5, sentence: "Because you chose {value} lately"}
- {type: content_cosine, name: about, sentence: "Because it is like what you watched"}
- {type: decayed_count, name: rated_lately, kind: review, half_life_days: 7}
- {type: local_hour, name: hour, purpose: null}
- {type: local_weekday, name: weekday, purpose: null}
- {type: code, name: genre_code, of: item.category, values: [Drama, Comedy, Action], purpose: null}
- {type: code, name: device, of: context.device.type, values: [mobile, desktop], purpose: null}
- {type: hash, name: country, of: context.geo.country, buckets: 64, purpose: null}
- {type: context_is, name: at_home, field: network.type, value: home, purpose: null}
- {type: context_value, name: rain, attribute: rain, purpose: null}
- {type: trait_value, name: vendor_score, trait: score.vendor}
- {type: cross, name: genre_on_device, of: [genre_code, device], how: pair, purpose: null}
- {type: cross, name: liked_and_popular, of: [genre, popularity]}
- {type: position, name: slot}
"""
LIVED = 90
"""Ratings of the future that are lived on the node."""


def subject(visitor: str) -> SubjectId:
    return subject_of(KEYS.subject_key, "anonymousId", visitor)


class Lived(NamedTuple):
    """A ranker that was trained, released, and served by a node to visitors who then said what they wanted."""

    data_dir: Path
    ledger: Ledger
    contents: SiteContents
    recipe: RankerRecipe
    before: History
    """As training knew it."""
    after: History
    shown: dict[DecisionId, list[ItemId]]
    wanted: dict[DecisionId, ItemId]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("lived")
    history = films(visitors=60, events=3_000)
    _, story = film_shop(folder / "site", history)
    site = folder / "site" / "site.yaml"
    site.write_text(site.read_text().replace("feature_sample_share: 0.02", "feature_sample_share: 1.0"))
    split = folder / "site" / "experiments" / "film_list.yaml"
    split.write_text(split.read_text().replace("[0.1, 0.9]", "[0.0, 1.0]"))
    (folder / "site" / "features" / "more.yaml").write_text(MORE_FEATURES)
    contents = load_site(folder / "site")
    clock = ManualClock(NOW_MS)
    make_keys(folder / "hub")
    with open_ledger(folder / "hub") as ledger:
        past = [
            msgspec.structs.replace(review(history, number, rated), subject=subject(rated.visitor))
            for number, rated in enumerate(story.past)
        ]
        ledger.append(HISTORY, past, NOW_MS)
        before = read_history(ledger)
        releases = Releases(folder / "hub", ledger, clock, write=write_without_sync)
        settings = ["trees.rounds=8", "validation_share=0.2"]
        trained = train_ranker(contents, ledger, releases.registry, RANKER, by="Ann", settings=settings)
        releases.registry.approve(trained.model, trained.version, by="Bob")
        releases.registry.promote(trained.model, trained.version, by="Bob")
        version = releases.apply(contents, by="Ann").release.version
        releases.approve(version, by="Bob")
        bundle = releases.bundle(version)
        paths = NodePaths(folder / "node")
        paths.create()
        store = BundleStore(paths)
        store.activate(store.stage(bundle.manifest_bytes, bundle.resources))
        desk = open_desk(folder / "node", clock=clock)
        shown: dict[DecisionId, list[ItemId]] = {}
        wanted: dict[DecisionId, ItemId] = {}
        with TestClient(make_app(desk), base_url="http://127.0.0.1", client=LOCAL) as client:
            client.auth = DEMO
            for visitor in sorted(story.known):
                stored = ledger.profile(subject(visitor))
                assert stored is not None
                desk.cache.snapshot(subject(visitor), stored.profile, stored.preferences)
            for number, rated in enumerate(story.future[:LIVED]):
                clock.advance(7_000_000)
                asked = {"anonymousId": rated.visitor, "context": PAGES[number % len(PAGES)], **ASKED}
                told = client.post("/v1/decide", json=asked).json()
                decision = DecisionId(told["decisionId"])
                shown[decision] = [ItemId(item["id"]) for item in told["placements"][LIST]["items"]]
                said = {"product_id": rated.item, "rating": rated.rating, "decisionId": decision, "placement": LIST}
                if rated.rating >= LIKED:
                    wanted[decision] = ItemId(rated.item)
                call = {"event": "Product Reviewed", "anonymousId": rated.visitor, "properties": said}
                assert client.post("/v1/track", json=call).status_code == 200
            records = spooled(desk)
        by_producer: dict[Producer, list[Record]] = {}
        for record in records:
            by_producer.setdefault(record.producer, []).append(record)
        ledger.store([Batch(name, [encode_record(one) for one in own]) for name, own in by_producer.items()], NOW_MS)
        recipe = recipe_of(contents, RANKER, settings)
        yield Lived(folder / "hub", ledger, contents, recipe, before, read_history(ledger), shown, wanted)


@pytest.fixture(scope="module")
def replayed(lived: Lived) -> RankingRows:
    """What training would make of the same outcomes, with items as they were when the model was released."""
    through = len(lived.before)
    items = fit_items(lived.after, lived.recipe, through)
    assert items == fit_items(lived.before, lived.recipe, through), "items know nothing of what came later"
    made = replayed_rows(
        lived.after,
        Shop(lived.contents, RANKER, lived.recipe, items),
        lived.recipe.outcome,
        since=through,
        whole_from=through,
        most=LIVED,
        negatives=1,
        seed=0,
    )
    return made.rows


@pytest.fixture(scope="module")
def logged(lived: Lived, replayed: RankingRows) -> LoggedRows:
    return logged_rows(lived.ledger, LIST, lived.recipe.outcome, replayed.names)


def test_rows_that_nodes_logged_are_the_rows_that_training_replays(
    lived: Lived, replayed: RankingRows, logged: LoggedRows
) -> None:
    place_of = {moment: place for place, moment in enumerate(logged.time_ms.tolist())}
    logged_start = np.cumsum(logged.size) - logged.size
    start = np.cumsum(replayed.size) - replayed.size
    assert replayed.choices >= 20, "there must be something to compare"
    assert {lived.after.deeds[deed].record.subject for deed in replayed.deed} & {
        deed.record.subject for deed in lived.before.deeds
    }, "some of it about visitors with a past"
    told = np.isfinite(replayed.matrix).mean(axis=0)
    silent = {name for name, share in zip(replayed.names, told.tolist(), strict=True) if not share}
    assert silent == {"vendor_score"}, "nobody states one here; of everything else there must be something to compare"
    skewed = 0
    for choice in range(replayed.choices):
        place = place_of[lived.after.deeds[replayed.deed[choice]].moment_ms]
        retrieved = replayed.retrieved[choice]
        there = logged.matrix[logged_start[place] : logged_start[place] + logged.size[place]]
        here = replayed.matrix[start[choice] : start[choice] + retrieved]
        assert there.shape == here.shape
        skewed += int((there.view(np.uint32) != here.view(np.uint32)).sum())
    assert skewed == 0


def test_rows_that_were_logged_know_what_was_shown_and_what_came_of_it(lived: Lived, logged: LoggedRows) -> None:
    assert logged.left_out == {}
    assert list(logged.decision_ids) == list(lived.shown)
    assert set(logged.sample_probability.tolist()) == {1.0}
    found_again = {item for decision, item in lived.wanted.items() if item not in lived.shown[decision]}
    start = 0
    for identifier, size in zip(logged.decision_ids, logged.size.tolist(), strict=True):
        rows = slice(start, start + size)
        slots, shown = logged.slot[rows], lived.shown[identifier]
        assert sorted(slots[slots != NOT_SHOWN].tolist()) == list(range(1, len(shown) + 1))
        assert np.isnan(logged.propensity[rows]).tolist() == (slots == NOT_SHOWN).tolist()
        wanted = lived.wanted.get(identifier)
        expected = {shown.index(wanted) + 1} if wanted in shown else set()
        labelled = set(slots[logged.label[rows] > 0].tolist())
        assert expected <= labelled
        assert {shown[slot - 1] for slot in labelled - expected} <= found_again, "what a later page did not show"
        start += size
    assert logged.label.any()


def test_the_job_finds_no_skew_in_what_the_node_logged(lived: Lived) -> None:
    with ScoringChild() as child:
        replayer = Replayer(lived.ledger, Releases(lived.data_dir, lived.ledger), child)
        found = measure_skew(lived.ledger, replayer, model=RANKER)
        of_another = measure_skew(lived.ledger, replayer, model=ModelName("another"), most=5)
    assert (found.decisions, found.left_out, found.examples) == (LIVED, {}, [])
    assert found.rows > 10 * LIVED, "whole matrices were logged, not only what was shown"
    assert found.is_sound
    assert {feature.name for feature in found.features} >= {"genre_again", "about", "country", "slot", "alike"}
    assert {feature.cells for feature in found.features} == {found.rows}
    assert (of_another.decisions, of_another.left_out) == (0, {"no-model": 5})


def test_what_the_node_decided_is_replayed_by_the_hub(lived: Lived) -> None:
    with ScoringChild() as child:
        replayer = Replayer(lived.ledger, Releases(lived.data_dir, lived.ledger), child)
        replays = [replayer.replay(identifier) for identifier in lived.shown]
    assert [replay.difference for replay in replays] == [None] * LIVED
