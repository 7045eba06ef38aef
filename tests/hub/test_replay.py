"""`hub.replay`: what a node has decided comes out again to the byte; what was changed since is found, with its path."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hub_records import decision_id
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replay_world import ReplayShop, replay_shop
from world import CHALLENGER, CHAMPION, FILMS, GENRES, HERO, LIST, NOW_MS

from edgewise.decision import canonical_bytes
from edgewise.errors import BundleRefused, InputError, RefusedError
from edgewise.fallback import fallback_decision
from edgewise.ids import BundleVersion, ItemId
from edgewise.question import question_of
from edgewise.reasons import Degradation
from edgewise.records import DecisionRecord, FeatureRows
from hub.release.releases import Releases
from hub.replay import Replayer, first_difference
from hub.scoring_child import ScoringChild

BY_MODEL = {"options": {"force": {HERO: CHALLENGER, LIST: CHALLENGER}}}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayShop]:
    with replay_shop(tmp_path_factory.mktemp("shop")) as made:
        yield made


def newcomer() -> str:
    """Somebody who was never here."""
    return f"visitor-{next(_numbers)}"


def reasons(record: DecisionRecord) -> set[str]:
    decision = msgspec.json.decode(record.decision)
    return {item["reason"] for placed in decision["placements"].values() for item in placed["items"]}


def assert_identical(shop: ReplayShop, record: DecisionRecord) -> None:
    replay = shop.hub.replayer.replay(record.decision_id)
    assert (replay.identical, replay.difference, replay.missing) == (True, None, ())
    assert replay.sha256 == replay.replayed_sha256


# --- the law -------------------------------------------------------------------------------------------------------
films = st.sampled_from(FILMS)
brought = st.fixed_dictionaries(
    {
        "id": films | st.sampled_from(["guest-1", "guest-2"]),
        "attributes": st.fixed_dictionaries(
            {}, optional={"popularity": st.floats(0, 100), "category": st.lists(st.sampled_from(GENRES), max_size=2)}
        ),
    }
)


def asked_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"name": st.just(name)},
        optional={
            "count": st.integers(1, 12),
            "exclude": st.lists(films, max_size=6),
            "candidates": st.lists(brought, min_size=1, max_size=6),
        },
    )


forced = st.sampled_from([CHAMPION, CHALLENGER]) | st.lists(films, min_size=1, max_size=3)
asking = st.fixed_dictionaries(
    {"placements": st.sampled_from([(HERO,), (LIST,), (LIST, HERO)]).flatmap(lambda n: st.tuples(*map(asked_of, n)))},
    optional={
        "consent": st.dictionaries(
            st.sampled_from(["personalisation", "analytics", "marketing"]),
            st.sampled_from(["granted", "denied", "pending"]),
        ),
        "context": st.fixed_dictionaries(
            {},
            optional={
                "device": st.fixed_dictionaries({"type": st.sampled_from(["mobile", "desktop", ""])}),
                "attributes": st.dictionaries(st.sampled_from(["temperature", "weather"]), st.floats(-50, 50)),
            },
        ),
        "events": st.lists(
            films.map(lambda f: {"type": "track", "event": "Product Viewed", "properties": {"product_id": f}}),
            max_size=3,
        ),
        "options": st.fixed_dictionaries(
            {},
            optional={
                "explain": st.booleans(),
                "deferActivation": st.booleans(),
                "force": st.dictionaries(st.sampled_from([HERO, LIST]), forced),
            },
        ),
    },
)
preferring = st.fixed_dictionaries(
    {},
    optional={
        "dial": st.integers(0, 3),
        "mute": st.fixed_dictionaries(
            {}, optional={"categories": st.lists(st.sampled_from(GENRES), max_size=3), "items": st.lists(films)}
        ),
    },
)
facts = st.fixed_dictionaries(
    {},
    optional={
        "stock": st.dictionaries(films, st.sampled_from([None, 0.0, 3.0]), max_size=8),
        "popularity": st.dictionaries(films, st.none() | st.floats(0, 1_000), max_size=8),
        "price": st.dictionaries(films, st.none() | st.floats(0, 100), max_size=8),
    },
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("track"), films, st.sampled_from(["Product Viewed", "Product Added", "Content Clicked"])),
        st.tuples(st.just("wait"), st.integers(0, 300_000)),
        st.tuples(st.just("say"), facts, st.booleans(), st.sampled_from([1, 60_000, 3_600_000])),
        st.tuples(st.just("prefer"), preferring),
        st.tuples(st.just("ask"), asking),
        st.tuples(st.just("ask"), asking),
    ),
    min_size=1,
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a whole visit is much to draw on a busy machine
@given(steps, asking)
def test_whatever_a_visitor_does_his_decisions_are_made_again_to_the_byte(
    shop: ReplayShop, taken: list[tuple[Any, ...]], last: dict[str, Any]
) -> None:
    visitor = newcomer()
    for step in [*taken, ("ask", last)]:
        match step:
            case ("track", film, event):
                shop.track(film, visitor, event=event)
            case ("wait", ms):
                shop.clock.advance(ms)
            case ("say", columns, halted, life_ms):
                shop.say(columns, halted=halted, life_ms=life_ms)
            case ("prefer", said):
                shop.prefer(said, visitor)
            case ("ask", body):
                shop.ask(body, visitor=visitor)
            case _:
                raise AssertionError(step)
    decided = shop.report()
    assert decided
    for record in decided:
        assert_identical(shop, record)
    shop.say({"stock": dict.fromkeys(FILMS)})  # what was sold out here must not be missing in the tests below


# --- every way in which a decision comes about -----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        ({}, {}, None),
        (BY_MODEL, {}, "MODEL"),
        ({"options": {"force": {LIST: CHAMPION, HERO: CHAMPION}}}, {}, "RULE"),
        ({"options": {"force": {HERO: ["film-3", "film-4"]}}}, {}, "FORCED"),
        ({"options": {**BY_MODEL["options"], "explain": True}}, {}, "MODEL"),
        ({"options": {**BY_MODEL["options"], "deferActivation": True}}, {}, "MODEL"),
        ({"consent": {"personalisation": "denied"}}, {}, "OPTED_OUT"),
        ({"consent": {"personalisation": "denied", "analytics": "denied"}}, {}, "OPTED_OUT"),
        ({}, {"Sec-GPC": "1"}, "OPTED_OUT"),
        ({"placements": [{"name": HERO, "exclude": list(FILMS)}]}, {}, None),
        ({"placements": [{"name": LIST, "candidates": [{"id": "guest", "attributes": {"popularity": 3}}]}]}, {}, None),
        ({**BY_MODEL, "events": [{"type": "track", "event": "Product Viewed", "productId": "film-2"}]}, {}, "MODEL"),
    ],
)
def test_decisions_of_every_kind_are_identical(
    shop: ReplayShop, body: dict[str, Any], headers: dict[str, str], reason: str | None
) -> None:
    visitor = newcomer()
    for film in ("film-1", "film-8", "film-9"):
        shop.track(film, visitor)
    record = shop.decided(body, visitor=visitor, **headers)
    assert reason is None or reason in reasons(record)
    assert_identical(shop, record)


def test_a_decision_is_made_again_with_the_facts_of_its_time(shop: ReplayShop) -> None:
    visitor = newcomer()
    sold = shop.say({"stock": {FILMS[0]: 0.0, FILMS[1]: 0.0}, "popularity": {FILMS[9]: 150.0}})
    first = shop.decided(BY_MODEL, visitor=visitor)
    other = shop.say({"stock": {FILMS[0]: None, FILMS[1]: None, FILMS[9]: 0.0}})
    second = shop.decided(BY_MODEL, visitor=visitor)
    shop.say({}, halted=True)
    third = shop.decided(BY_MODEL, visitor=visitor)
    assert [record.facts_version for record in (first, second, third)] == [sold, other, 0]
    for record in (first, second, third):
        assert_identical(shop, record)
    mistold = msgspec.structs.replace(first, facts_version=other)
    assert first_difference(mistold, shop.hub.replayer.again(mistold), first.decision) is not None


def test_facts_that_are_forgotten_are_said_to_be(shop: ReplayShop) -> None:
    forgotten = shop.say({"stock": {FILMS[0]: 0.0}})
    record = shop.decided(BY_MODEL, visitor=newcomer())
    shop.say({"stock": {FILMS[0]: None}})
    shop.clock.advance(1)
    shop.hub.ledger.prune_facts(shop.clock.now_ms())
    with pytest.raises(RefusedError, match=f"live facts version {forgotten} are not here"):
        shop.hub.reopened().replay(record.decision_id)


def test_what_was_explored_is_drawn_again(shop: ReplayShop) -> None:
    visitor = newcomer()
    made = [shop.decided(BY_MODEL, visitor=visitor) for _ in range(8)]
    explored = [record for record in made if "EXPLORE" in reasons(record)]
    assert explored, "of 80 slots a good share is given away"
    for record in explored:
        assert_identical(shop, record)


def test_what_was_decided_while_the_scorer_failed_is_replayed_without_it(shop: ReplayShop) -> None:
    served = shop.desk.live.served
    assert served is not None
    scorers, served._scorers = served._scorers, {}
    try:
        record = shop.decided(BY_MODEL, visitor=newcomer())
    finally:
        served._scorers = scorers
    assert record.degradation is Degradation.SCORER
    assert "FALLBACK_SCORER" in reasons(record)
    assert_identical(shop, record)


@pytest.mark.parametrize("look_ms", [1.0, 4.0, 7.0, 11.0])
def test_what_became_late_midway_is_replayed_to_the_byte(shop: ReplayShop, look_ms: float) -> None:
    """The clock goes on with every look at it, so that time runs out between two stages."""
    clock = shop.clock

    class Going:
        def __init__(self) -> None:
            self.monotonic = 0.0

        def now_ms(self) -> int:
            return clock.now_ms()

        def monotonic_ms(self) -> float:
            self.monotonic += look_ms
            return self.monotonic

    shop.track("film-13")
    shop.desk.clock = Going()
    try:
        record = shop.decided({"options": {"deadlineMs": 20, **BY_MODEL["options"]}})
    finally:
        shop.desk.clock = clock
    expected = {1.0: Degradation.NONE, 4.0: Degradation.NONE, 7.0: Degradation.DEADLINE_SCORING}
    assert record.degradation is expected.get(look_ms, Degradation.DEADLINE)
    assert_identical(shop, record)


@pytest.mark.parametrize("degradation", [Degradation.DEADLINE, Degradation.UNRANKED, Degradation.OVERLOAD])
def test_what_was_answered_in_a_hurry_is_replayed_as_such(shop: ReplayShop, degradation: Degradation) -> None:
    record = shop.decided(BY_MODEL, visitor=newcomer())
    hurried = msgspec.structs.replace(record, degradation=degradation)
    again = shop.hub.replayer.again(hurried)
    hurried = msgspec.structs.replace(
        hurried, decision=canonical_bytes(again.decision), shown={}, sampled={}, impressions=again.impressions
    )
    expected = "FALLBACK_DEADLINE" if degradation is Degradation.DEADLINE else "FALLBACK_OVERLOAD"
    assert reasons(hurried) == {expected}
    shop.hub.tamper(hurried)
    assert_identical(shop, hurried)


def test_what_was_not_kept_for_learning_is_replayed_without_rows(shop: ReplayShop) -> None:
    record = shop.decided(BY_MODEL, visitor=newcomer())
    shop.hub.tamper(record, shown={}, sampled={}, sample_probability=0.0, learning_probability=0.5, is_kept=False)
    assert_identical(shop, record)


def test_a_record_without_a_bundle_is_the_fallback(shop: ReplayShop) -> None:
    record = shop.decided(visitor=newcomer())
    bare = msgspec.structs.replace(record, bundle_version=BundleVersion(0), bundle_digest="", shown={}, sampled={})
    answer = canonical_bytes(fallback_decision(question_of(bare)))
    shop.hub.tamper(bare, decision=answer, impressions=(), enrolled={})
    replay = shop.hub.replayer.replay(record.decision_id)
    assert (replay.identical, replay.bundle_digest) == (True, "")


def test_what_the_starter_bundle_decided_is_replayed_with_the_one_that_ships(tmp_path: Path) -> None:
    with replay_shop(tmp_path, starter=True) as shop:
        shop.track("sencha")
        record = shop.decided({"options": {"explain": True, "force": {LIST: CHALLENGER}}})
        assert record.bundle_version == 0
        assert "MODEL" in reasons(record)
        assert_identical(shop, record)
        shop.hub.tamper(record, bundle_digest="d" * 64)
        with pytest.raises(BundleRefused, match=f"no release 0; there are: 7; its bundle {'d' * 64} is not here"):
            shop.hub.replayer.replay(record.decision_id)


# --- records that were changed ---------------------------------------------------------------------------------------
def changed_decision(record: DecisionRecord, placement: str, **item: Any) -> bytes:
    decision = msgspec.json.decode(record.decision)
    decision["placements"][placement]["items"][0].update(item)
    return msgspec.json.encode(decision, order="deterministic")


def changed_rows(rows: FeatureRows, place: int, value: float) -> FeatureRows:
    matrix = np.frombuffer(rows.data, "<f4").copy()
    matrix[place] = value
    return msgspec.structs.replace(rows, data=matrix.tobytes())


@pytest.fixture
def ranked(shop: ReplayShop) -> DecisionRecord:
    """A decision that a model made, whose whole matrices were kept."""
    visitor = newcomer()
    shop.track("film-5", visitor)
    made = (shop.decided(BY_MODEL, visitor=visitor) for _ in range(100))
    return next(record for record in made if record.sampled)


def test_a_changed_decision_is_found_with_its_path(shop: ReplayShop, ranked: DecisionRecord) -> None:
    for field, value in (("score", 7.5), ("id", "film-23"), ("propensity", 0.5), ("rank", 2)):
        before = msgspec.json.decode(ranked.decision)["placements"][HERO]["items"][0][field]
        shop.hub.tamper(ranked, decision=changed_decision(ranked, HERO, **{field: value}))
        replay = shop.hub.replayer.replay(ranked.decision_id)
        assert not replay.identical
        assert replay.sha256 != replay.replayed_sha256
        assert replay.difference is not None
        assert replay.difference.path == f"$.decision.placements.{HERO}.items[0].{field}"
        assert (replay.difference.logged, replay.difference.replayed) == (value, before)


def test_changed_feature_rows_are_found_by_item_and_column(shop: ReplayShop, ranked: DecisionRecord) -> None:
    for path, field, rows in (("$.shown", "shown", ranked.shown), ("$.sampled", "sampled", ranked.sampled)):
        some = rows[LIST]
        row, column = len(some.items) - 1, some.names.index("popularity")
        changed = {**rows, LIST: changed_rows(some, row * len(some.names) + column, -1.0)}
        shop.hub.tamper(ranked, **{field: changed})
        difference = shop.hub.replayer.replay(ranked.decision_id).difference
        assert difference is not None
        assert difference.path == f"{path}.{LIST}.{some.items[row]}.popularity"
        assert difference.logged == -1.0


def test_the_sign_of_a_zero_is_a_difference_and_a_missing_value_is_none(
    shop: ReplayShop, ranked: DecisionRecord
) -> None:
    rows = ranked.shown[LIST]
    matrix = np.frombuffer(rows.data, "<f4")
    assert np.isnan(matrix).any()
    zero = int(np.flatnonzero((matrix == 0) & ~np.signbit(matrix))[0])
    shop.hub.tamper(ranked, shown={**ranked.shown, LIST: changed_rows(rows, zero, -0.0)})
    difference = shop.hub.replayer.replay(ranked.decision_id).difference
    assert difference is not None
    assert (str(difference.logged), str(difference.replayed)) == ("-0.0", "0.0")


def test_what_else_was_logged_is_compared_too(shop: ReplayShop, ranked: DecisionRecord) -> None:
    rows = ranked.shown[LIST]
    cut = msgspec.structs.replace(rows, data=rows.data[:-3])
    swapped = msgspec.structs.replace(rows, items=(rows.items[1], rows.items[0], *rows.items[2:]))
    renamed = msgspec.structs.replace(rows, names=("other", *rows.names[1:]))
    for changes, path in (
        (
            {"impressions": (*ranked.impressions[:-1], ItemId("film-x"))},
            f"$.impressions[{len(ranked.impressions) - 1}]",
        ),
        ({"impressions": ()}, "$.impressions"),
        ({"shown": {LIST: rows}}, f"$.shown.{HERO}"),
        ({"sampled": {}}, f"$.sampled.{HERO}"),
        ({"shown": {**ranked.shown, LIST: cut}}, f"$.shown.{LIST}.data"),
        ({"shown": {**ranked.shown, LIST: swapped}}, f"$.shown.{LIST}.items"),
        ({"shown": {**ranked.shown, LIST: renamed}}, f"$.shown.{LIST}.names"),
        ({"decision": ranked.decision + b" "}, "$.decision"),
        ({"decision": b"\xff not JSON"}, "$.decision"),
    ):
        shop.hub.tamper(ranked, **changes)
        difference = shop.hub.replayer.replay(ranked.decision_id).difference
        assert difference is not None
        assert difference.path == path
        assert difference.logged != difference.replayed


def test_a_changed_question_gives_another_decision(shop: ReplayShop, ranked: DecisionRecord) -> None:
    first = ranked.shown[LIST].items[0]
    asked = tuple(msgspec.structs.replace(request, exclude=[first]) for request in ranked.placements)
    for changes in ({"placements": asked}, {"time_ms": NOW_MS + 90 * 86_400_000}, {"force": {}, "unit": "another"}):
        shop.hub.tamper(ranked, **changes)
        assert not shop.hub.replayer.replay(ranked.decision_id).identical


# --- what cannot be asked again -------------------------------------------------------------------------------------
def test_an_unknown_id_and_a_damaged_record_are_said(shop: ReplayShop) -> None:
    with pytest.raises(InputError, match=r"no decision '01[0-9A-Z]+'; expected the id of one that a node has reported"):
        shop.hub.replayer.replay(decision_id(1))
    record = shop.decided(visitor=newcomer())
    shop.hub.overwrite(record.decision_id, b"\x81\xa6record\xffdecision")
    with pytest.raises(InputError, match=f"record of decision '{record.decision_id}' is damaged"):
        shop.hub.replayer.replay(record.decision_id)


def test_a_bundle_that_is_not_here_is_named(shop: ReplayShop) -> None:
    record = shop.decided(visitor=newcomer())
    shop.hub.tamper(record, bundle_digest="d" * 64)
    with pytest.raises(
        BundleRefused, match=f"release 7 here has digest {record.bundle_digest}, .* made with {'d' * 64}"
    ):
        shop.hub.replayer.replay(record.decision_id)
    shop.hub.tamper(record, bundle_version=BundleVersion(8), bundle_digest="e" * 64)
    with pytest.raises(BundleRefused, match=f"no release 8; there are: 7; its bundle {'e' * 64} is not here"):
        shop.hub.replayer.replay(record.decision_id)


def test_a_damaged_bundle_is_refused(tmp_path: Path) -> None:
    with replay_shop(tmp_path) as shop:
        record = shop.decided()
        blob = max((shop.hub.data_dir / "repository").rglob("blobs/*"), key=lambda path: path.stat().st_size)
        blob.write_bytes(blob.read_bytes()[:-1] + b"?")
        with pytest.raises(BundleRefused, match=r"catalogue.json of release 7 has digest .*, expected"):
            shop.hub.reopened().replay(record.decision_id)


def test_a_scorer_that_fails_at_the_hub_is_said(shop: ReplayShop, ranked: DecisionRecord) -> None:
    with ScoringChild(most_model_bytes=10) as child:
        replayer = Replayer(shop.hub.ledger, Releases(shop.hub.data_dir, shop.hub.ledger), child)
        replay = replayer.replay(ranked.decision_id)
    assert not replay.identical
    assert any(note.startswith("the scorer failed here on the model ranker: ") for note in replay.notes)


def test_a_profile_with_a_hole_is_said_and_nothing_identical_is_expected(tmp_path: Path) -> None:
    with replay_shop(tmp_path) as shop:
        shop.track("film-5")
        told = shop.ask(BY_MODEL)
        (record,) = (one for one in shop.report() if one.decision_id == told["decisionId"])
        (producer,) = record.applied
        shop.hub.tamper(record, applied={producer: 0, "n-gone/1/0": 41})
        replay = shop.hub.replayer.replay(record.decision_id)
        assert replay.missing == ("n-gone/1/0: applied up to 41 there, nothing here",)
        shop.hub.tamper(record, subject="0" * 32)
        replay = shop.hub.replayer.replay(record.decision_id)
        assert not replay.identical
        assert replay.missing == (f"{producer}: applied up to 0 there, nothing here",)


def test_a_damaged_record_of_the_visitor_is_a_hole(shop: ReplayShop) -> None:
    visitor = newcomer()
    shop.track("film-5", visitor)
    other, record = shop.decided(BY_MODEL, visitor=visitor), shop.decided(BY_MODEL, visitor=visitor)
    shop.hub.overwrite(other.decision_id, b"\x00")
    replay = shop.hub.replayer.replay(record.decision_id)
    assert not replay.identical
    assert replay.missing[0].startswith("a record of the visitor is damaged in the ledger: ")


def test_a_visitor_is_replayed_as_he_was_then_whatever_he_did_since(shop: ReplayShop) -> None:
    visitor = newcomer()
    shop.track("film-5", visitor)
    record = shop.decided(BY_MODEL, visitor=visitor)
    for film in FILMS[8:14]:
        shop.track(film, visitor)
    shop.prefer({"dial": 1, "mute": {"items": [record.shown[LIST].items[0]]}}, visitor)
    shop.report()
    assert_identical(shop, record)
