"""Where a visitor score fails beside the answer: in a challenger, or for another bundle that is only asked."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import scores_world
import world
from world import CHALLENGER, CHAMPION, HERO

from edgewise.admission.load import Bundle
from edgewise.bundle.catalogue import Variant, content_sha256
from edgewise.bundle.policy import Arm, ByAttribute, Compare
from edgewise.counterfactual import would_show
from edgewise.decide import Outcome, decide
from edgewise.decision import canonical_bytes
from edgewise.ids import ModelName
from edgewise.reasons import Degradation, Reason
from edgewise.records import Shadow

RISKY = Compare("profile.score.churn", "gt", 0.35)
LAST = 23


def broken(_model: ModelName, _matrix: world.Matrix) -> world.Matrix:
    raise RuntimeError


def apprentice(**changes: Any) -> Bundle:
    """The challenger's first choice has a copy for those who may leave; the champion's has none."""
    content = {"title": "For you"}
    copy = Variant("calm", RISKY, content=content, approved_sha256=content_sha256(content), approved_by="editor")
    items = [world.item(number) for number in range(LAST + 1)]
    items[LAST] = msgspec.structs.replace(world.item(LAST, price=99.0), variants=[copy])
    arms = {CHAMPION: Arm(ByAttribute("popularity")), CHALLENGER: Arm(ByAttribute("price"))}
    placement = world.placement(arms=arms, **{"learning": "apprentice", "challenger": CHALLENGER, **changes})
    return scores_world.bundle(items=items, policy=world.policy({HERO: placement}))


def ask(bundle: Bundle, score: Any, **more: Any) -> Outcome:
    known: dict[str, Any] = {"bundle": bundle, "draw": lambda _n, _s: 0.5, "now_ms": world.NOW_MS}
    return decide(world.question(), world.profile(["film-3"]), score=score, **known, **more)


def test_a_copy_of_the_challengers_choice_costs_the_answer_nothing() -> None:
    bundle = apprentice()
    sound, failed = ask(bundle, scores_world.score), ask(bundle, broken)
    assert sound.shadows[HERO].items == (f"film-{LAST}",)
    assert failed.shadows == {HERO: Shadow(CHALLENGER, Reason.FALLBACK_SCORER)}
    assert failed.degradation is Degradation.NONE
    assert canonical_bytes(failed.decision) == canonical_bytes(sound.decision)


def test_a_challengers_visitor_score_is_not_asked_once_time_is_up() -> None:
    bundle, asked = apprentice(), list[ModelName]()

    def late() -> bool:
        return looks[0] > 2

    def is_late() -> bool:
        looks[0] += 1
        return late()

    def score(model: ModelName, matrix: world.Matrix) -> world.Matrix:
        asked.append(model)
        assert not late()
        return np.asarray(scores_world.score(model, matrix), np.float32)

    looks = [0]
    outcome = ask(bundle, score, is_late=is_late)
    assert outcome.shadows == {HERO: Shadow(CHALLENGER, Reason.FALLBACK_DEADLINE)}
    assert (outcome.degradation, asked) == (Degradation.NONE, [])


def test_another_bundle_whose_rules_ask_a_broken_score_has_no_answer() -> None:
    bundle = apprentice(eligibility=[RISKY])
    found = would_show(
        world.question(), world.profile(["film-3"]), HERO, [], bundle=bundle, score=broken, now_ms=world.NOW_MS
    )
    assert found is Reason.FALLBACK_SCORER
