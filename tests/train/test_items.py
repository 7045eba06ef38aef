"""`hub.train.items` and `hub.train.history`: what is known of items, and in which order it became known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hub_records import NOW_MS, decision, event, payloads, preference
from hypothesis import given
from hypothesis import strategies as st
from ranker_world import HISTORY, films, remember, review
from ranker_world import shop as film_shop

from edgewise.consent import Grants
from edgewise.errors import InputError
from edgewise.ids import ItemId, Producer, SubjectId
from edgewise.profile.state import DAY_MS
from edgewise.records import EventRecord, Touch
from hub.ledger.batch import Batch
from hub.ledger.canonical import Folding
from hub.ledger.ledger import Ledger, open_ledger
from hub.site.recipes import MeanRating, NeighbourRecipe, Outcome, Popularity, RankerRecipe
from hub.train.history import History, read_history
from hub.train.items import fit_items

IMPORT = Producer("import/past")
NODE = Producer("n-a/1/0")


def touched(visitor: str, item: str, at_ms: int, seq: int, *, rating: float | None = None) -> EventRecord:
    return event(
        seq,
        producer=IMPORT,
        subject=SubjectId(visitor),
        name="Product Reviewed",
        time_ms=at_ms,
        touches=(Touch(ItemId(item), rating=rating),),
    )


def recipe(**changes: object) -> RankerRecipe:
    return RankerRecipe(**{"outcome": Outcome("review"), "neighbours": None, **changes})  # type: ignore[arg-type]


# --- order ----------------------------------------------------------------------------------------------------------
def test_imports_come_in_the_order_of_time_and_then_of_the_file() -> None:
    records = [touched("a", f"item-{seq}", at, seq) for seq, at in enumerate([500, 100, 300, 100])]
    history = History(records)
    assert [deed.moment_ms for deed in history.deeds] == [100, 100, 300, 500]
    assert [deed.record.touches[0].item for deed in history.deeds if isinstance(deed.record, EventRecord)] == [
        "item-1",
        "item-3",
        "item-2",
        "item-0",
    ]
    assert [deed.record.seq for deed in history.deeds] == [0, 1, 2, 3], "or the reducer would pass over some"


def test_a_node_whose_clock_was_set_back_keeps_its_order() -> None:
    times = [1_000, 2_000, 500, 600, 3_000]
    records = [event(seq, producer=NODE, received_ms=at, time_ms=at) for seq, at in enumerate(times)]
    history = History(records[::-1])
    assert [deed.record.seq for deed in history.deeds] == [0, 1, 2, 3, 4]
    assert [deed.moment_ms for deed in history.deeds] == [1_000, 2_000, 2_000, 2_000, 3_000]


def test_what_may_not_be_tied_to_a_person_is_left_out() -> None:
    kept: list[Folding] = [event(0), decision(1), preference(2)]
    out: list[Folding] = [
        event(3, subject=SubjectId("")),
        event(4, grants=Grants(analytics=True)),
        decision(5, impressions=()),
        decision(6, grants=Grants(analytics=True)),
    ]
    history = History([*kept, *out])
    assert [deed.record.seq for deed in history.deeds] == [0, 1, 2]
    assert history.visitors == 1


@given(st.permutations(range(8)))
def test_the_order_in_which_records_are_read_does_not_matter(order: list[int]) -> None:
    records = [
        *(touched(f"v{seq % 3}", f"item-{seq % 4}", seq // 2, seq, rating=float(seq)) for seq in range(4)),
        *(event(seq, producer=NODE, subject=SubjectId(f"v{seq % 2}")) for seq in range(4)),
    ]
    known, shuffled = History(records), History([records[place] for place in order])
    assert shuffled.digest() == known.digest()
    assert [deed.record for deed in shuffled.deeds] == [deed.record for deed in known.deeds]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "hub") as opened:
        yield opened


def test_two_hubs_with_different_keys_have_the_same_history(tmp_path: Path, ledger: Ledger) -> None:
    world = films(visitors=20, events=300)
    _, story = film_shop(tmp_path / "site", world)
    remember(ledger, world, story.past, key="one-")
    with open_ledger(tmp_path / "other") as other:
        remember(other, world, story.past, key="two-")
        one, two = read_history(ledger), read_history(other)
    assert one.digest() == two.digest()
    assert one.visitors == two.visitors == len({rated.visitor for rated in story.past})
    last = review(world, len(story.past), story.past[-1], key="one-")
    ledger.append(HISTORY, [last], NOW_MS)
    assert read_history(ledger).digest() != one.digest()


def test_a_history_holds_statements_and_impressions_but_no_bodies_and_rows(ledger: Ledger) -> None:
    ledger.store([Batch(NODE, payloads(event(0, body=b"{}"), decision(1), preference(2)))], NOW_MS)
    deeds = read_history(ledger).deeds
    assert [type(deed.record).__name__ for deed in deeds] == ["EventRecord", "DecisionRecord", "PreferenceRecord"]
    assert isinstance(deeds[0].record, EventRecord)
    assert deeds[0].record.body == b""


# --- items ----------------------------------------------------------------------------------------------------------
def test_popularity_is_the_share_of_visitors_by_hand() -> None:
    day = DAY_MS
    records = [
        touched("a", "x", 0, 0),
        touched("a", "x", 1, 1),
        touched("b", "y", 2 * day, 2),
        touched("c", "y", 9 * day, 3),
        touched("d", "z", 10 * day, 4),
    ]
    wanted = recipe(statistics={"ever": Popularity(), "lately": Popularity(days=3)})
    statistics = fit_items(History(records), wanted, len(records)).statistics
    assert statistics["ever"].values == {"x": 1 / 4, "y": 2 / 4, "z": 1 / 4}
    assert statistics["lately"].values == {"y": 1 / 2, "z": 1 / 2}
    assert statistics["ever"].otherwise == 0


def test_mean_ratings_are_drawn_towards_the_mean_by_hand() -> None:
    stars = [("x", 5.0), ("x", 4.0), ("y", 1.0), ("z", None)]
    records = [touched(f"v{seq}", item, seq, seq, rating=rating) for seq, (item, rating) in enumerate(stars)]
    found = fit_items(History(records), recipe(statistics={"stars": MeanRating(weight=2)}), len(records)).statistics
    mean = 10 / 3
    assert found["stars"].values == pytest.approx({"x": (9 + 2 * mean) / 4, "y": (1 + 2 * mean) / 3})
    assert found["stars"].otherwise == pytest.approx(mean)


def test_items_know_nothing_of_what_came_later(tmp_path: Path) -> None:
    world = films(visitors=20, events=400)
    _, story = film_shop(tmp_path / "site", world)
    records = [review(world, number, rated) for number, rated in enumerate(story.past)]
    wanted = recipe(
        neighbours=NeighbourRecipe(l2=30, tastes=0.3, closeness=0.5, per_item=10, most_items=50),
        statistics={"popularity": Popularity(), "stars": MeanRating()},
    )
    for through in (1, 50, 200):
        assert fit_items(History(records), wanted, through) == fit_items(History(records[:through]), wanted, through)


def test_only_the_most_touched_items_speak_for_others() -> None:
    items = ["a", "b", "c", "b", "c", "a", "d", "c"]
    records = [touched(f"v{seq // 2}", item, seq, seq) for seq, item in enumerate(items)]
    fitted = fit_items(History(records), recipe(neighbours=NeighbourRecipe(most_items=2, l2=1)), len(records))
    assert fitted.neighbours is not None
    assert list(fitted.neighbours.items) == ["a", "c"], "touched by 2 and 3; b by 2 as well, but a comes first"
    without = fit_items(History(records), recipe(), len(records))
    assert (without.neighbours, without.statistics) == (None, {})


def test_nobody_who_touched_anything_is_said() -> None:
    history = History([event(0, touches=()), event(1)])
    with pytest.raises(InputError, match="nobody touched an item in the first 1 of 2 records"):
        fit_items(history, recipe(), 1)
    with pytest.raises(InputError, match="nobody touched an item in the first 0 of 0 records"):
        fit_items(History([]), recipe(), 0)


def test_touches_are_one_entry_an_item_in_order() -> None:
    two = (Touch(ItemId("b"), rating=3.0), Touch(ItemId("a")))
    records = [event(0, touches=two), event(1, name="Promotion Viewed"), event(2, touches=two[:1])]
    touches = History(records).touches
    assert touches.items == ("a", "b")
    assert [touches.items[item] for item in touches.item] == ["b", "a", "b"]
    assert touches.deed.tolist() == [0, 0, 2]
    assert np.isnan(touches.rating).tolist() == [False, True, False]
    assert msgspec.structs.asdict(two[0])["rating"] == touches.rating[0]
