"""Who was assigned once keeps the arm, whatever is changed of the experiment but its bucket version."""

import math
from typing import Any

import msgspec
import world
from hypothesis import given
from hypothesis import strategies as st
from world import CHALLENGER, CHAMPION, EXPERIMENT, HERO

from edgewise.admission.load import Bundle
from edgewise.assign import compile_experiment, in_holdout, learns_from, traffic_of
from edgewise.bundle.experiments import Experiment, NamespaceRange
from edgewise.bundle.policy import Arm, External, Site
from edgewise.decide import Outcome, decide
from edgewise.decision import NOTHING, canonical_bytes
from edgewise.dial import DIAL_PAGE, DIAL_SESSION
from edgewise.draws import draw_from
from edgewise.hashing import Namespace, in_namespace
from edgewise.ids import ArmName, ItemId, Producer, SubjectId
from edgewise.profile.reduce import fold
from edgewise.profile.state import Enrolment, Profile
from edgewise.question import Question
from edgewise.reasons import Degradation, Reason
from edgewise.records import DecisionRecord
from edgewise.request import Context, Geo
from edgewise.sticky import LOOSE, Stuck, buckets_of

BASE = world.bundle()
BUCKET = f"{EXPERIMENT}__0"
units = st.text(min_size=1, max_size=20)
experiments = st.builds(
    Experiment,
    arms=st.just([CHAMPION, CHALLENGER]),
    weights=st.sampled_from([[0.5, 0.5], [0.0, 1.0], [1.0, 0.0], [0.9, 0.1]]),
    seed=st.sampled_from(["hero-2025", "anew"]),
    coverage=st.sampled_from([0.0, 0.3, 1.0]),
    condition=st.sampled_from([{}, {"geo.country": "DE"}]),
    namespace=st.sampled_from([None, NamespaceRange("home", 0.0, 0.4), NamespaceRange("home", 0.4, 1.0)]),
    hash_version=st.sampled_from([1, 2]),
)


def bundle_of(experiment: Experiment, *, arms: dict[ArmName, Arm] | None = None, **site: Any) -> Bundle:
    changes: dict[str, Any] = {} if arms is None else {"arms": arms}
    policy = world.policy({HERO: world.placement(experiment=EXPERIMENT, **changes)}, **site)
    return world.bundle(policy=msgspec.structs.replace(policy, experiments={EXPERIMENT: experiment}))


def ask(question: Question, profile: Profile, bundle: Bundle) -> Outcome:
    salt = bundle.policy.site.salt
    return decide(
        question,
        profile,
        bundle=bundle,
        score=world.score,
        draw=draw_from(salt, question.decision_id),
        now_ms=world.NOW_MS,
    )


def written(outcome: Outcome, question: Question, *, seq: int = 0, time_ms: int = world.NOW_MS) -> DecisionRecord:
    """What a node writes down, as far as profiles look at it."""
    return DecisionRecord(
        producer=Producer("n/1/0"),
        seq=seq,
        decision_id=question.decision_id,
        subject=SubjectId("5" * 32),
        time_ms=time_ms,
        bundle_version=outcome.decision.bundle_version,
        bundle_digest=outcome.decision.bundle_digest,
        facts_version=0,
        placements=question.placements,
        context=question.context,
        grants=question.grants,
        dial=question.dial,
        degradation=Degradation.NONE,
        applied={},
        decision=canonical_bytes(outcome.decision),
        unit=question.unit,
        enrolled=outcome.enrolled,
    )


@given(unit=units, changed=experiments)
def test_nothing_but_a_bucket_version_moves_who_was_assigned(unit: str, changed: Experiment) -> None:
    question = world.question(unit=unit)
    first = ask(question, Profile(), BASE)
    arm = first.decision.placements[HERO].policy
    assert first.enrolled == {BUCKET: arm}
    profile = fold(Profile(), [written(first, question)])
    again = ask(question, profile, bundle_of(changed))
    assert again.decision.placements[HERO].policy == arm
    assert again.decision.placements[HERO].experiment is not None
    assert again.enrolled == {}, "it is known already"
    loose = ask(question, profile, bundle_of(msgspec.structs.replace(changed, bucket_version=1)))
    fresh = ask(question, Profile(), bundle_of(changed))
    assert loose.decision.placements[HERO] == fresh.decision.placements[HERO]
    unstuck = ask(question, profile, bundle_of(msgspec.structs.replace(changed, sticky=False)))
    assert unstuck.decision.placements[HERO] == fresh.decision.placements[HERO]
    assert unstuck.enrolled == {}


@given(units)
def test_who_was_assigned_under_a_version_that_is_shut_out_takes_part_no_more(unit: str) -> None:
    question = world.question(unit=unit)
    profile = fold(Profile(), [written(ask(question, Profile(), BASE), question)])
    anew = Experiment([CHAMPION, CHALLENGER], [0.0, 1.0], "hero-2025", bucket_version=3, min_bucket_version=3)
    placed = ask(question, profile, bundle_of(anew)).decision.placements[HERO]
    assert (placed.experiment, placed.policy) == (None, CHAMPION)
    stranger = ask(question, Profile(), bundle_of(anew))
    assert stranger.enrolled == {f"{EXPERIMENT}__3": CHALLENGER}


def test_an_arm_that_is_no_more_holds_nobody_and_its_first_assignment_stays() -> None:
    buckets = buckets_of(EXPERIMENT, Experiment([CHAMPION, CHALLENGER], [0.5, 0.5], "s"))
    known = {BUCKET: Enrolment(1, ArmName("gone"))}
    assert buckets.stuck(known, [CHAMPION, CHALLENGER]) == LOOSE
    assert buckets.stuck(known, [ArmName("gone")]) == Stuck(ArmName("gone"))
    profile = Profile(enrolments=known)
    outcome = ask(world.question(unit="u"), profile, BASE)
    assert outcome.decision.placements[HERO].experiment is not None
    assert outcome.enrolled == {}


def test_what_may_not_be_remembered_is_assigned_by_the_hash_alone() -> None:
    """By the page alone (dial 1), without anybody to know again, and where an operator forces the arm."""
    profile = Profile(enrolments={BUCKET: Enrolment(1, CHALLENGER)})
    for unit in map(str, range(20)):
        by_hash = ask(world.question(unit=unit), Profile(), BASE).decision.placements[HERO].policy
        paged = ask(world.question(unit=unit, dial=DIAL_PAGE), profile, BASE)
        assert (paged.decision.placements[HERO].policy, paged.enrolled) == (by_hash, {})
        session = ask(world.question(unit=unit, dial=DIAL_SESSION), profile, BASE)
        assert session.decision.placements[HERO].policy == CHALLENGER
    nobody = world.question()
    nobody = msgspec.structs.replace(nobody, unit=nobody.decision_id)
    assert ask(nobody, Profile(), BASE).enrolled == {}
    assert ask(world.question(force={HERO: "challenger"}), Profile(), BASE).enrolled == {}
    assert ask(world.question(force={HERO: ["film-3"]}), Profile(), BASE).enrolled == {}


@given(units)
def test_an_experiment_is_for_whom_it_says(unit: str) -> None:
    part = NamespaceRange("home", 0.2, 0.7)
    targeted = Experiment(
        [CHAMPION, CHALLENGER], [0.5, 0.5], "hero-2025", condition={"geo.country": "DE"}, namespace=part
    )
    is_inside = in_namespace(unit, Namespace("home", 0.2, 0.7))
    for country, takes_part in (("DE", is_inside), ("AT", False), ("", False)):
        outcome = ask(world.question(unit=unit, context=Context(geo=Geo(country))), Profile(), bundle_of(targeted))
        placed = outcome.decision.placements[HERO]
        assert (placed.experiment is not None) is takes_part
        assert bool(outcome.enrolled) is takes_part
        if takes_part:
            plain = ask(world.question(unit=unit), Profile(), BASE)
            assert placed.policy == plain.decision.placements[HERO].policy
        else:
            assert placed.policy == CHAMPION


@given(units)
def test_an_external_champion_shows_nothing_and_is_exposed_all_the_same(unit: str) -> None:
    arms = world.placement().arms | {CHAMPION: Arm(External())}
    policy = Experiment([CHAMPION, CHALLENGER], [0.5, 0.5], "hero-2025")
    question = world.question(unit=unit)
    bundle = bundle_of(policy, arms=arms)
    outcome = ask(question, Profile(), bundle)
    placed = outcome.decision.placements[HERO]
    assert placed.experiment is not None
    if placed.policy == CHAMPION:
        assert (placed.items, placed.reason) == ((), Reason.RULE)
        assert outcome.enrolled == {BUCKET: CHAMPION}
        assert outcome.propensities_of(HERO, [NOTHING]) == [1.0], "as a join of rewards counts it"
        assert outcome.propensities_of(HERO, [ItemId("film-0")]) == [0.0]
        late = ask(msgspec.structs.replace(question, degradation=Degradation.OVERLOAD), Profile(), bundle)
        assert late.decision.placements[HERO].items == (), "the page keeps its own, also under load"
    else:
        assert placed.items
    opted_out = ask(world.question(unit=unit, dial=0), Profile(), bundle).decision.placements[HERO]
    assert (opted_out.items, opted_out.reason) == ((), Reason.OPTED_OUT)
    shown = ask(world.question(unit=unit, force={HERO: ["film-3"]}), Profile(), bundle).decision.placements[HERO]
    assert [item.id for item in shown.items] == ["film-3"], "an operator looks at what it would be"


def test_training_traffic_is_its_share_of_every_arm_and_moves_with_the_seed_alone() -> None:
    """20,000 units: each share within 5 standard deviations of 0.2, in both arms and in the holdout."""
    experiment = Experiment([CHAMPION, CHALLENGER], [0.5, 0.5], "hero-2025", training_share=0.2)
    compiled, site = compile_experiment(EXPERIMENT, experiment), Site(world.SITE, "salt", holdout=0.5)
    numbered = [f"unit-{number}" for number in range(20_000)]
    for kept in (
        [unit for unit in numbered if compiled.arm_of(unit) == CHAMPION],
        [unit for unit in numbered if compiled.arm_of(unit) == CHALLENGER],
        [unit for unit in numbered if in_holdout(site, unit)],
    ):
        training = sum(traffic_of(experiment, unit) == "training" for unit in kept)
        assert abs(training / len(kept) - 0.2) < 5 * math.sqrt(0.2 * 0.8 / len(kept))
    more = msgspec.structs.replace(experiment, training_share=0.4, weights=[0.1, 0.9])
    for unit in numbered[:500]:
        assert traffic_of(more, unit) == "training" or traffic_of(experiment, unit) == "evaluation"
        assert learns_from(experiment, unit) is (traffic_of(experiment, unit) == "training")
        assert learns_from(msgspec.structs.replace(experiment, training_share=0.0), unit)


@given(units, st.floats(0, 1), st.floats(0, 1))
def test_the_holdout_grows_without_letting_anybody_out_and_has_its_own_salt(
    unit: str, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    held = in_holdout(Site(world.SITE, "salt", holdout=less), unit)
    assert not held or in_holdout(Site(world.SITE, "salt", holdout=more), unit)
    salted = [Site(world.SITE, salt, holdout=more, holdout_salt="of-the-holdout") for salt in ("salt", "pepper")]
    assert in_holdout(salted[0], unit) is in_holdout(salted[1], unit)
    assert in_holdout(Site(world.SITE, "salt", holdout=more, holdout_salt="salt/holdout"), unit) is in_holdout(
        Site(world.SITE, "salt", holdout=more), unit
    )
