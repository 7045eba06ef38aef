"""Copies of an item: chosen by rule, only where somebody approved them, and truthful in the record."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import scores_world
import world
from hypothesis import given
from hypothesis import strategies as st
from world import CHALLENGER, HERO

from edgewise.admission.load import NO_CONTENT, Bundle
from edgewise.bundle.catalogue import Item, Variant, content_sha256
from edgewise.bundle.policy import Compare, Rule
from edgewise.consent import Grants
from edgewise.decide import Outcome, decide
from edgewise.decision import ChosenItem, Decision, canonical_bytes
from edgewise.errors import BundleRefused
from edgewise.ids import ItemId
from edgewise.profile.state import Profile
from edgewise.question import Force
from edgewise.reasons import Degradation
from edgewise.request import Candidate, PlacementRequest
from edgewise.scores import Score

VIEWER = world.profile(["film-3", "film-5"])  # churn is 0.29
NEWCOMER = world.profile(["film-3"])  # churn is 0.4
TOP = world.FILMS[0]
FORCE: Force = {HERO: [TOP]}


def variant(name: str, when: Rule, **changes: Any) -> Variant:
    content = {"title": f"Film 0, {name}"}
    known = {"content": content, "approved_sha256": content_sha256(content), "approved_by": "editor"}
    return Variant(name, when, **(known | changes))


def bundle(*variants: Variant, **changes: Any) -> Bundle:
    """The film shop, with these copies of the first film."""
    items = [world.item(number) for number in range(24)]
    items[0] = msgspec.structs.replace(items[0], variants=list(variants), **changes)
    return scores_world.bundle(items=items)


def hero(
    made: Bundle, profile: Profile = VIEWER, score: Score = scores_world.score, **question: Any
) -> tuple[ChosenItem, Outcome]:
    """What stands in the hero, where the first film is put."""
    asked = world.question(**({"force": FORCE} | question))
    outcome = decide(asked, profile, bundle=made, score=score, draw=lambda _n, _s: 0.5, now_ms=world.NOW_MS)
    return outcome.decision.placements[HERO].items[0], outcome


CALM = variant("calm", Compare("profile.score.churn", "gt", 0.35), sentence="Worded for those who hesitate")
MOBILE = variant("mobile", Compare("context.device.type", "eq", "mobile"))


def test_the_first_copy_whose_rule_holds_is_shown() -> None:
    made = bundle(CALM, MOBILE)
    item, outcome = hero(made, NEWCOMER, explain=True)
    assert (item.variant, item.content_digest) == ("calm", CALM.approved_sha256)
    assert item.why[-1].text == "Worded for those who hesitate"
    assert msgspec.json.decode(made.content_json(TOP, "calm")) == CALM.content
    assert outcome.decision.scores.keys() == {scores_world.CHURN}
    item, _ = hero(made, explain=True)
    assert (item.variant, item.why[-1].text) == ("mobile", "Worded in the variant mobile")


def test_no_copy_leaves_the_bytes_as_they_were() -> None:
    item, outcome = hero(bundle(CALM))
    assert item.variant is msgspec.UNSET
    assert item.content_digest == world.item(0).approved_sha256
    assert b"variant" not in canonical_bytes(outcome.decision)
    assert msgspec.json.decode(canonical_bytes(outcome.decision), type=Decision) == outcome.decision


def test_what_nobody_approved_is_shown_to_nobody() -> None:
    changed = msgspec.structs.replace(MOBILE, content={"title": "Cheaper than anywhere!"})
    made = bundle(changed, variant("late", Compare("context.device.type", "eq", "mobile")))
    assert hero(made)[0].variant == "late"
    assert made.content_json(TOP, "mobile") == NO_CONTENT
    unapproved = bundle(MOBILE, approved_sha256=None)
    assert unapproved.content_json(TOP, "mobile") == NO_CONTENT
    assert hero(unapproved)[0].id != TOP


def test_strangers_read_what_the_page_alone_says() -> None:
    made = bundle(CALM, MOBILE)
    item, outcome = hero(made, NEWCOMER, grants=Grants(personalisation=False, analytics=True, marketing=False))
    assert item.variant == "mobile"
    assert outcome.decision.scores == {}


def test_a_page_keeps_its_own_words() -> None:
    request = PlacementRequest(HERO, candidates=[Candidate(TOP)])
    asked = world.question(request)
    outcome = decide(
        asked, VIEWER, bundle=bundle(MOBILE), score=scores_world.score, draw=lambda _n, _s: 0.5, now_ms=world.NOW_MS
    )
    item = outcome.decision.placements[HERO].items[0]
    assert (item.id, item.variant, item.content_digest) == (TOP, msgspec.UNSET, "")


def test_a_score_that_fails_leaves_the_items_own_content() -> None:
    def broken(_model: str, _matrix: world.Matrix) -> world.Matrix:
        raise RuntimeError

    item, outcome = hero(bundle(CALM), NEWCOMER, score=broken)
    assert item.variant is msgspec.UNSET
    assert outcome.degradation is Degradation.SCORES


@given(st.integers(0, 6), st.sampled_from([VIEWER, NEWCOMER]), st.sampled_from([FORCE, {HERO: CHALLENGER}]))
def test_a_replay_reads_the_same_copy(looks: int, profile: Profile, force: Force) -> None:
    seen = 0

    def is_late() -> bool:
        nonlocal seen
        seen += 1
        return seen > looks

    made = bundle(CALM, MOBILE)
    known: dict[str, Any] = {"bundle": made, "draw": lambda _n, _s: 0.5, "now_ms": world.NOW_MS}
    first = decide(world.question(force=force), profile, score=scores_world.score, is_late=is_late, **known)
    asked = world.question(force=force, degradation=first.degradation)
    again = decide(asked, profile, score=scores_world.score, **known)
    assert canonical_bytes(again.decision) == canonical_bytes(first.decision)


REFUSED: list[tuple[str, Item]] = [
    ("is listed twice", msgspec.structs.replace(world.item(0), variants=[MOBILE, MOBILE])),
    ("has no name", msgspec.structs.replace(world.item(0), variants=[variant("", MOBILE.when)])),
    (
        "at most 64 are taken",
        msgspec.structs.replace(world.item(0), variants=[variant(str(n), MOBILE.when) for n in range(65)]),
    ),
    (
        r"no score 'none' in the bundle; .*\$.items\[0\].variants\[0\].when.of",
        msgspec.structs.replace(
            world.item(0), variants=[variant("a", Compare("profile.score.none", "exists", to=True))]
        ),
    ),
]


@pytest.mark.parametrize(("message", "item"), REFUSED)
def test_what_cannot_be_chosen_is_refused_when_it_is_loaded(message: str, item: Item) -> None:
    with pytest.raises(BundleRefused, match=message):
        scores_world.bundle(items=[item, *(world.item(number) for number in range(1, 24))])


def test_an_unknown_copy_has_no_content() -> None:
    assert bundle(MOBILE).content_json(TOP, "gone") == NO_CONTENT
    assert bundle(MOBILE).content_json(ItemId("gone"), "mobile") == NO_CONTENT
