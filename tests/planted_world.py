"""A world whose best choice is known, a champion that serves in it, and challengers of known worth, for the gate.

Visitors have six traits; every item earns a click with a probability that depends on them. The champion knows the truth
through noise, explores, and logs what it did with its propensities, two slots a decision, the second looked at half as
often. Of that log the earlier two thirds are there to learn from, the rest judges.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import lightgbm
import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from edgewise.bundle.exploration import EpsilonGreedy, Exploration, Greedy, SquareCB
from edgewise.policy import pmf
from hub.evaluation.logged import LoggedDecisions
from hub.evaluation.policies import Target
from hub.learning.evidence import DataEvidence, GateEvidence, HeldOut, ParityEvidence
from hub.learning.gate import GatePlan, alpha_of_look, judge
from hub.learning.off_policy import Watched, off_policy

Array = NDArray[np.float64]
Rng = np.random.Generator

TRAITS: Final = 6
ITEMS: Final = 10
SLOTS: Final = 2
LOOKED_AT: Final = (1.0, 0.5)
"""How often each slot is looked at."""
DECISIONS: Final = 12_000
LEARNED: Final = 2 / 3
NOISE: Final = 1.6
"""Of the champion's knowledge; the taste of an item for a trait has spread 1."""
TOLERATED: Final = 0.5
"""How much more often visitors may mute."""
RESAMPLES: Final = 1_000
DAY_MS: Final = 86_400_000
EPSILON: Final = EpsilonGreedy(0.3)
PLAN: Final = GatePlan()


class Taste(NamedTuple):
    """How much visitors want items."""

    weights: Array
    """(TRAITS, ITEMS)"""
    bias: Array
    """(ITEMS,)"""

    def scores(self, traits: Array) -> Array:
        """(n, ITEMS) log-odds."""
        return np.asarray(traits @ self.weights + self.bias, np.float64)

    def blurred(self, rng: Rng, noise: float) -> Taste:
        """As somebody knows it who learned from little."""
        return Taste(
            self.weights + rng.normal(0, noise, self.weights.shape), self.bias + rng.normal(0, noise, self.bias.shape)
        )


@dataclass(frozen=True)
class Log:
    """What the champion did; (n,) decisions."""

    traits: Array
    mobile: NDArray[np.bool_]
    unit: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    shown: NDArray[np.int64]
    """(n, SLOTS)"""
    propensity: Array
    """(n, SLOTS), as it was logged."""
    reward: Array
    """(n, SLOTS)"""
    mutes: Array
    """(n, SLOTS): "show me less of this", which is not to grow."""

    def part(self, among: NDArray[np.bool_]) -> Log:
        return Log(**{name: getattr(self, name)[among] for name in self.__dataclass_fields__})

    def __len__(self) -> int:
        return len(self.traits)


@dataclass
class World:
    """One draw of it."""

    rng: Rng
    taste: Taste
    champion: Taste
    later: Taste | None = None
    """What visitors want in the last sixth of the time; None: the same."""
    clickbait: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(ITEMS, np.bool_))
    hated_by_desktop: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(ITEMS, np.bool_))
    log: Log = field(init=False)

    def clicks(self, traits: Array, mobile: NDArray[np.bool_], late: NDArray[np.bool_]) -> Array:
        """(n, ITEMS): P(click) of what is looked at."""
        scores = self.taste.scores(traits)
        if self.later is not None:
            scores = np.where(late[:, None], self.later.scores(traits), scores)
        scores = (
            scores + 2.5 * self.clickbait + np.where(self.hated_by_desktop, np.where(mobile, 2.5, -4.0)[:, None], 0.0)
        )
        return np.asarray(0.6 / (1 + np.exp(-(scores - 1.5))), np.float64)

    def live(self, decisions: int = DECISIONS) -> Log:
        """Let the champion serve, and keep what it logs."""
        rng = self.rng
        traits = rng.normal(size=(decisions, TRAITS))
        mobile = rng.random(decisions) < 0.65
        late = np.arange(decisions) >= decisions * 5 / 6
        chance = self.clicks(traits, mobile, late)
        shown, propensity = serve(self.champion.scores(traits), EPSILON, rng)
        seen = rng.random((decisions, SLOTS)) < np.array(LOOKED_AT)
        reward = (rng.random((decisions, SLOTS)) < np.take_along_axis(chance, shown, 1)) & seen
        mutes = rng.random((decisions, SLOTS)) < np.where(self.clickbait[shown], 0.8, 0.1)
        self.log = Log(
            traits=traits,
            mobile=mobile,
            unit=rng.integers(decisions, size=decisions),
            time_ms=np.arange(decisions) * (14 * DAY_MS // decisions),
            shown=shown,
            propensity=propensity,
            reward=reward.astype(np.float64),
            mutes=mutes.astype(np.float64),
        )
        return self.log


def new_world(seed: int, **changes: object) -> World:
    """A world and its champion; nobody has been there yet."""
    rng = np.random.default_rng(seed)
    taste = Taste(rng.normal(0, 1, (TRAITS, ITEMS)), rng.normal(0, 0.5, ITEMS))
    return World(rng, taste, taste.blurred(rng, NOISE), **changes)  # type: ignore[arg-type]


def serve(scores: Array, exploration: Exploration, rng: Rng) -> tuple[NDArray[np.int64], Array]:
    """Slates without replacement by the production pmf: items (n, SLOTS), and the propensity of each."""
    shown = np.zeros((len(scores), SLOTS), np.int64)
    propensity = np.zeros((len(scores), SLOTS))
    for row, of_row in enumerate(scores):
        left = list(range(ITEMS))
        for slot in range(SLOTS):
            spread = pmf(of_row[left], exploration)
            place = min(int(np.searchsorted(np.cumsum(spread), rng.random(), side="right")), len(left) - 1)
            shown[row, slot], propensity[row, slot] = left[place], spread[place]
            del left[place]
    return shown, propensity


@dataclass
class Challenger:
    """A policy, with whatever a hub would know of it."""

    scores: Array
    """(judging decisions, ITEMS)"""
    exploration: Exploration = EPSILON
    log: Log | None = None
    """What judges it, where that is not the world's own."""
    elsewhere: float = 0.0
    """Of its probability, on items that the log does not know."""
    learned: tuple[float, float] | None = None
    """How well it orders what it learned from, and what came later (AUC)."""
    looks: int = 1
    changes: dict[str, object] = field(default_factory=dict)
    """Of the evidence."""


def judged_part(world: World) -> Log:
    return world.log.part(np.arange(len(world.log)) >= len(world.log) * LEARNED)


def lessons(world: World) -> Log:
    return world.log.part(np.arange(len(world.log)) < len(world.log) * LEARNED)


def evidence_of(world: World, challenger: Challenger) -> GateEvidence:
    """What the hub's own code makes of the log; nothing here knows what was planted."""
    log = judged_part(world) if challenger.log is None else challenger.log
    arrays, watched = _as_log(log)
    new = _target("challenger", challenger.scores, challenger.exploration, log, challenger.elsewhere)
    old = _target("champion", world.champion.scores(log.traits), EPSILON, log, 0.0)
    spread = np.ptp(challenger.scores, axis=1)
    with np.errstate(invalid="ignore"):
        found = off_policy(
            arrays,
            new,
            old,
            time_ms=np.repeat(log.time_ms, SLOTS),
            alpha=alpha_of_look(PLAN.alpha, challenger.looks),
            rng=np.random.default_rng(1),
            segments={"device.type": np.where(np.repeat(log.mobile, SLOTS), "mobile", "desktop")},
            guardrails=[Watched("mutes", watched, TOLERATED, higher_is_better=False)],
            undecided=float(np.mean(~(spread > 1e-9))),
            resamples=RESAMPLES,
        )
    held = None
    if challenger.learned is not None:
        on_lessons, on_later = challenger.learned
        held = HeldOut("auc above 1/2", len(log), learned=on_lessons - 0.5, value=on_later - 0.5)
    now_ms = 14 * DAY_MS
    made = GateEvidence(
        challenger="ranker@2",
        champion="ranker@1",
        now_ms=now_ms,
        looks=challenger.looks,
        is_refresh=False,
        parity=ParityEvidence(20_000, 0, 1e-7, finite=float(np.isfinite(challenger.scores).mean())),
        data=DataEvidence(new=len(world.log), trained_ms=now_ms, newest_ms=int(lessons(world).time_ms.max())),
        held_out=held,
        off_policy=found,
    )
    return msgspec.structs.replace(made, **challenger.changes)


def _as_log(log: Log) -> tuple[LoggedDecisions, Array]:
    n = len(log)
    _, unit = np.unique(log.unit, return_inverse=True)
    arrays = LoggedDecisions(
        name="planted",
        actions=tuple(str(item) for item in range(ITEMS)),
        action=log.shown.reshape(-1),
        propensity=log.propensity.reshape(-1),
        reward=log.reward.reshape(-1),
        position=np.tile(np.arange(SLOTS), n),
        decision=np.repeat(np.arange(n), SLOTS),
        decision_ids=tuple(str(number) for number in range(n)),
        context=pa.table({}),
        action_features=None,
        user=np.repeat(unit, SLOTS).astype(np.int64),
    )
    return arrays, log.mutes.reshape(-1)


def _target(name: str, scores: Array, exploration: Exploration, log: Log, elsewhere: float) -> Target:
    """Each slot's probabilities after the items of the log's earlier slots."""
    table = np.zeros((len(log) * SLOTS, ITEMS))
    usable = np.nan_to_num(scores)  # a node gives what is no number no place before the others either
    for row in range(len(log)):
        left = list(range(ITEMS))
        for slot in range(SLOTS):
            table[row * SLOTS + slot, left] = pmf(usable[row, left], exploration) * (1 - elsewhere)
            left.remove(int(log.shown[row, slot]))
    return Target(name, np.arange(len(table)), table, np.full(len(table), elsewhere))


# --- challengers ------------------------------------------------------------------------------------------------------
class Planted(NamedTuple):
    """Challengers in their world; several: one after the other, against the same champion."""

    world: World
    challengers: list[Challenger]


Plant = Callable[[int], Planted]
"""From a seed."""


def _lived(seed: int, decisions: int = DECISIONS, **changes: object) -> World:
    world = new_world(seed, **changes)
    world.live(decisions)
    return world


def better(seed: int) -> Planted:
    """Knows tastes with a fifth of the champion's noise."""
    world = _lived(seed)
    knows = world.taste.blurred(world.rng, NOISE / 5)
    return Planted(world, [Challenger(knows.scores(judged_part(world).traits))])


def better_learned(seed: int) -> Planted:
    """Learned, by logistic regression of each item, from the lessons of the log: as good as those make it."""
    world = _lived(seed, 2 * DECISIONS)
    log = lessons(world)
    scores = np.column_stack(
        [
            _logistic(log.traits[which], log.reward[which, 0], 1 / log.propensity[which, 0], judged_part(world).traits)
            for item in range(ITEMS)
            if len(which := np.flatnonzero(log.shown[:, 0] == item))
        ]
    )
    return Planted(world, [Challenger(scores)])


def _logistic(traits: Array, clicked: Array, weight: Array, asked: Array) -> Array:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=0.3).fit(traits, clicked, sample_weight=np.minimum(weight, 30.0))
    return np.asarray(fitted.decision_function(asked), np.float64)


def worse(seed: int) -> Planted:
    world = _lived(seed)
    knows = world.champion.blurred(world.rng, 1.5)
    return Planted(world, [Challenger(knows.scores(judged_part(world).traits))])


def slightly_worse(seed: int) -> Planted:
    world = _lived(seed)
    knows = world.champion.blurred(world.rng, 0.4)
    return Planted(world, [Challenger(knows.scores(judged_part(world).traits))])


def noise(seed: int) -> Planted:
    world = _lived(seed)
    return Planted(world, [Challenger(world.rng.normal(size=(len(judged_part(world)), ITEMS)))])


def inverted(seed: int) -> Planted:
    """The sign of a score was lost."""
    world = _lived(seed)
    return Planted(world, [Challenger(-world.taste.scores(judged_part(world).traits))])


def constant(seed: int) -> Planted:
    world = _lived(seed)
    return Planted(world, [Challenger(np.zeros((len(judged_part(world)), ITEMS)))])


def popular_only(seed: int) -> Planted:
    """Most clicks a show, whoever comes."""
    world = _lived(seed)
    log = lessons(world)
    shows = np.bincount(log.shown.reshape(-1), minlength=ITEMS)
    clicks = np.bincount(log.shown.reshape(-1), log.reward.reshape(-1), minlength=ITEMS)
    return Planted(world, [Challenger(np.tile(clicks / np.maximum(shows, 1), (len(judged_part(world)), 1)))])


def same_again(seed: int) -> Planted:
    """The champion under another name, and no newer data that would excuse it."""
    world = _lived(seed)
    return Planted(world, [Challenger(world.champion.scores(judged_part(world).traits))])


def stale(seed: int) -> Planted:
    """Knew an older taste well."""
    world = _lived(seed)
    old = Taste(world.rng.normal(0, 1, (TRAITS, ITEMS)), world.taste.bias)
    return Planted(world, [Challenger(old.scores(judged_part(world).traits))])


def old_data(seed: int) -> Planted:
    """Better, but nothing that it learned from is younger than a month."""
    world, (made,) = better(seed)
    data = DataEvidence(new=DECISIONS, trained_ms=14 * DAY_MS, newest_ms=-16 * DAY_MS)
    return Planted(world, [replace(made, changes={"data": data})])


def _boosted(x: Array, y: Array, asked: Array, **settings: object) -> Array:
    fixed = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True, "seed": 1}
    booster = lightgbm.train({**fixed, **settings}, lightgbm.Dataset(x, y), num_boost_round=60)
    return np.asarray(booster.predict(asked, raw_score=True), np.float64)


def _pairs(traits: Array, items: NDArray[np.int64]) -> Array:
    return np.column_stack([traits, np.eye(ITEMS)[items]])


def _every_pair(traits: Array) -> Array:
    return _pairs(np.repeat(traits, ITEMS, axis=0), np.tile(np.arange(ITEMS), len(traits)))


def _auc(scores: Array, clicked: Array) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(clicked, scores))


def overfitted(seed: int) -> Planted:
    """Trees of one row a leaf, on few rows: they know every lesson, and nothing else."""
    world = _lived(seed)
    log, judging = lessons(world), judged_part(world)
    few = slice(0, 400)
    x, y = _pairs(log.traits[few], log.shown[few, 0]), log.reward[few, 0]
    settings = {"num_leaves": 255, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0.0, "learning_rate": 0.5}
    scores = _boosted(x, y, _every_pair(judging.traits), **settings).reshape(-1, ITEMS)
    shown = np.take_along_axis(scores, judging.shown[:, :1], 1)[:, 0]
    learned = (_auc(_boosted(x, y, x, **settings), y), _auc(shown, judging.reward[:, 0]))
    return Planted(world, [Challenger(scores, learned=learned)])


def leaking(seed: int) -> Planted:
    """A column told the outcome while it learned, and is empty when it serves."""
    world = _lived(seed)
    log, judging = lessons(world), judged_part(world)
    told = log.reward[:, :1] + world.rng.normal(0, 0.05, (len(log), 1))
    x = np.column_stack([_pairs(log.traits, log.shown[:, 0]), told])
    asked = np.column_stack([_every_pair(judging.traits), np.full(len(judging) * ITEMS, np.nan)])
    return Planted(world, [Challenger(_boosted(x, log.reward[:, 0], asked).reshape(-1, ITEMS))])


def by_position(seed: int) -> Planted:
    """Takes what stood first for what is wanted: learned without the slots, of a rule that always showed the same."""
    world = _lived(seed)
    log, judging = lessons(world), judged_part(world)
    first = np.bincount(log.shown[:, 0], minlength=ITEMS)
    share = first / np.maximum(1, np.bincount(log.shown.reshape(-1), minlength=ITEMS))
    return Planted(world, [Challenger(np.tile(share, (len(judging), 1)))])


def collapsed_exploration(seed: int) -> Planted:
    """Better, and never tries anything else again."""
    world, (made,) = better(seed)
    return Planted(world, [replace(made, exploration=Greedy())])


def scores_too_large(seed: int) -> Planted:
    """Better, with scores a thousand times too large: what SquareCB makes of them explores nothing."""
    world, (made,) = better(seed)
    return Planted(world, [replace(made, scores=made.scores * 1_000, exploration=SquareCB(gamma=100.0))])


def propensity_bug(seed: int) -> Planted:
    """Nodes log the chance that they would explore, not that they chose this one: explored rewards weigh ten times."""
    world = _lived(seed)
    log = judged_part(world)
    explored = log.propensity < 0.5
    wrong = replace(log, propensity=np.where(explored, log.propensity / 3, log.propensity))
    knows = world.champion.blurred(world.rng, 0.5)
    return Planted(world, [Challenger(knows.scores(log.traits), log=wrong)])


def propensities_of_another(seed: int) -> Planted:
    """Propensities of other decisions stand beside these."""
    world = _lived(seed)
    log = judged_part(world)
    wrong = replace(log, propensity=world.rng.permutation(log.propensity))
    knows = world.champion.blurred(world.rng, 0.5)
    return Planted(world, [Challenger(knows.scores(log.traits), log=wrong)])


def wrong_segment(seed: int) -> Planted:
    """What two of three visitors love and the third cannot stand, shown to all."""
    loved = np.arange(ITEMS) < 2
    world = _lived(seed, hated_by_desktop=loved)
    scores = world.champion.scores(judged_part(world).traits) + 20.0 * loved
    return Planted(world, [Challenger(scores)])


def clickbait(seed: int) -> Planted:
    """More clicks, and four of five who see it never want to see it again."""
    bait = np.arange(ITEMS) < 2
    world = _lived(seed, clickbait=bait)
    scores = world.champion.scores(judged_part(world).traits) + 6.0 * bait
    return Planted(world, [Challenger(scores)])


def unsupported(seed: int) -> Planted:
    """Better on what the log knows; two in five of its choices are new items."""
    world, (made,) = better(seed)
    return Planted(world, [replace(made, elsewhere=0.4)])


def too_few(seed: int) -> Planted:
    """Better, by a log of an hour."""
    world = _lived(seed, 450)
    knows = world.taste.blurred(world.rng, NOISE / 5)
    return Planted(world, [Challenger(knows.scores(judged_part(world).traits))])


def one_visitor(seed: int) -> Planted:
    """A machine that clicks all it is shown makes up a third of the log: no better for anybody else."""
    world = _lived(seed)
    log = judged_part(world)
    knows = world.champion.blurred(world.rng, 0.8)
    scores = knows.scores(log.traits)
    machine = world.rng.random(len(log)) < 0.3
    wanted = scores.argmax(axis=1)[:, None] == log.shown
    reward = np.where(machine[:, None], 3.0 * wanted, log.reward)
    heavy = replace(log, reward=reward, unit=np.where(machine, -1, log.unit))
    return Planted(world, [Challenger(scores, log=heavy)])


def one_heavy_weight(seed: int) -> Planted:
    """One propensity of a millionth, on something that was clicked."""
    world = _lived(seed)
    log = judged_part(world)
    knows = world.champion.blurred(world.rng, 0.8)
    scores = knows.scores(log.traits)
    best = scores.argmax(axis=1) == log.shown[:, 0]
    row = int(np.flatnonzero(best & (log.reward[:, 0] > 0))[0])
    propensity = log.propensity.copy()
    propensity[row, 0] = 1e-6
    return Planted(world, [Challenger(scores, log=replace(log, propensity=propensity))])


def judged_by_its_lessons(seed: int) -> Planted:
    """Knows by heart the very decisions that judge it."""
    world = _lived(seed)
    log = judged_part(world)
    scores = world.rng.normal(size=(len(log), ITEMS))
    np.put_along_axis(scores, log.shown[:, :1], np.where(log.reward[:, :1] > 0, 9.0, -9.0), 1)
    data = DataEvidence(new=DECISIONS, trained_ms=14 * DAY_MS, newest_ms=14 * DAY_MS, learned=1.0)
    return Planted(world, [Challenger(scores, changes={"data": data})])


def passing_fad(seed: int) -> Planted:
    """Knew well what visitors wanted until half of the judging time was over; now it is nothing to anybody."""
    rng = np.random.default_rng(seed + 1_000)
    later = Taste(rng.normal(0, 1, (TRAITS, ITEMS)), rng.normal(0, 0.5, ITEMS))
    world = new_world(seed, later=later)
    world.champion = later.blurred(world.rng, 0.8)
    world.live()
    return Planted(world, [Challenger(world.taste.scores(judged_part(world).traits))])


def lucky_of_many(seed: int) -> Planted:
    """Forty that know no more than the champion, one after the other: one of them is lucky."""
    world = _lived(seed)
    log = judged_part(world)
    tries = [
        Challenger(world.taste.blurred(world.rng, 1.15 * NOISE).scores(log.traits), looks=look) for look in range(1, 41)
    ]
    best = sorted(tries, key=lambda made: _true_value(world, made.scores))
    # what earns more than the champion is no bad challenger; the others are
    champion = _true_value(world, world.champion.scores(log.traits))
    bad = [made for made in best if _true_value(world, made.scores) <= champion][-8:]
    return Planted(world, [replace(made, looks=look) for look, made in enumerate(bad, 1)])


def _true_value(world: World, scores: Array) -> float:
    """Expected clicks of the first slot of its greedy choices."""
    log = judged_part(world)
    late = np.zeros(len(log), np.bool_)
    chance = world.clicks(log.traits, log.mobile, late)
    return float(np.take_along_axis(chance, scores.argmax(axis=1)[:, None], 1).mean())


def differs_on_the_edge(seed: int) -> Planted:
    """Better as it was trained; the edge scores one row in a thousand otherwise."""
    world, (made,) = better(seed)
    return Planted(world, [replace(made, changes={"parity": ParityEvidence(20_000, 20, 0.4)})])


def no_numbers(seed: int) -> Planted:
    """Better, where it says anything."""
    world, (made,) = better(seed)
    scores = np.where(world.rng.random(made.scores.shape) < 0.02, np.nan, made.scores)
    return Planted(world, [replace(made, scores=scores)])


def skewed(seed: int) -> Planted:
    """Better by features that nodes compute otherwise."""
    world, (made,) = better(seed)
    data = DataEvidence(new=DECISIONS, trained_ms=14 * DAY_MS, newest_ms=9 * DAY_MS, skewed=("popularity",))
    return Planted(world, [replace(made, changes={"data": data})])


def flagged(seed: int) -> Planted:
    """Better, and shows again what staff had found wrong."""
    world, (made,) = better(seed)
    return Planted(world, [replace(made, changes={"flags": ("flag 3: it stands there again",)})])


def unsettled(seed: int) -> Planted:
    """Better, by outcomes of which a third may still be taken back."""
    world, (made,) = better(seed)
    data = DataEvidence(new=DECISIONS, trained_ms=14 * DAY_MS, newest_ms=9 * DAY_MS, waiting=0.3)
    return Planted(world, [replace(made, changes={"data": data})])


GOOD: Final = (better, better_learned)
BAD: Final = (
    worse,
    slightly_worse,
    noise,
    inverted,
    constant,
    popular_only,
    same_again,
    stale,
    old_data,
    overfitted,
    leaking,
    by_position,
    collapsed_exploration,
    scores_too_large,
    propensity_bug,
    propensities_of_another,
    wrong_segment,
    clickbait,
    unsupported,
    too_few,
    one_visitor,
    one_heavy_weight,
    judged_by_its_lessons,
    passing_fad,
    lucky_of_many,
    differs_on_the_edge,
    no_numbers,
    skewed,
    flagged,
    unsettled,
)


class Result(NamedTuple):
    """Of one planted kind in one world."""

    recommended: bool
    lift: float
    low: float
    reasons: tuple[str, ...]


def try_out(plant: Plant, seed: int) -> Result:
    """Put the planted challengers before the gate; recommended if any of them is."""
    # Worlds of different kinds differ: what one draw of tastes makes easy must not help all of them.
    world, challengers = plant(1_000 * seed + zlib.crc32(plant.__name__.encode()) % 1_000)
    results = []
    for challenger in challengers:
        made = evidence_of(world, challenger)
        verdict = judge(made, PLAN)
        assert made.off_policy is not None
        lift = made.off_policy.lift
        results.append(Result(verdict.recommend, lift.estimate, lift.low, verdict.against))
    return max(results, key=lambda result: (result.recommended, result.low))
