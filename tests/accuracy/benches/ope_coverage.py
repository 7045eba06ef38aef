"""How often a 95 % interval of the off-policy estimators holds the truth, in simulated worlds that know it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from logged_world import World, small_world
from slate_world import SlateWorld, slate_world

from accuracy.claim import Claim
from accuracy.ground import Ground
from hub.evaluation.evaluate import evaluate_log
from hub.evaluation.logged import Floats, LoggedDecisions
from hub.evaluation.names import EstimatorName, IntervalName
from hub.evaluation.policies import Target

WORLDS: Final = 800
RESAMPLES: Final = 1_000
LEAST: Final = 0.93
OF_ROWS: Final = tuple(EstimatorName(name) for name in ("ips", "snips", "dr", "sndr", "switch-dr", "dros"))
PROTOCOL: Final = (
    "800 logs of a simulated world (5 situations, 6 actions, rewards 0 or 1), target 70 % greedy; light: 1,000 "
    "decisions, weights up to 8; heavy: 2,000 decisions of a logging policy that is nearly deterministic, weights up "
    "to 147; slates: 1,000 of 3 slots, without repetition and with rewards that depend on the slot above, or apart: "
    "slots that do not depend on each other; 95 % intervals, 1,000 resamples; in brackets where the true coverage lies"
)

OF_HEAVY: Final = (
    "no resample holds the heavy rows that did not come; `edgewise evaluate` warns of such logs, and Bernstein holds"
)

Make = Callable[[np.random.Generator], tuple[LoggedDecisions, Target]]


def measure(ground: Ground) -> list[Claim]:
    """Coverage by estimator, world and kind of interval."""
    light, heavy = small_world(), _heavy(small_world())
    below, apart = slate_world(), slate_world(is_independent=True)
    runs: list[tuple[str, Make, float, tuple[EstimatorName, ...], IntervalName, int]] = [
        ("light", _rows_of(light, 1_000), light.value(light.target), OF_ROWS, IntervalName.BOOTSTRAP, 21),
        ("heavy", _rows_of(heavy, 2_000), heavy.value(heavy.target), OF_ROWS, IntervalName.BOOTSTRAP, 22),
        ("heavy", _rows_of(heavy, 2_000), heavy.value(heavy.target), OF_ROWS, IntervalName.BOOTSTRAP_T, 22),
        ("heavy", _rows_of(heavy, 2_000), heavy.value(heavy.target), OF_ROWS, IntervalName.BERNSTEIN, 23),
        ("slates", _slates_of(below), below.value(below.target), _RIPS, IntervalName.BOOTSTRAP, 24),
        ("slates apart", _slates_of(apart), apart.value(apart.target), _IIPS, IntervalName.BOOTSTRAP, 25),
    ]
    claims = []
    for world, make, truth, names, interval, seed in runs:
        ground.terminal.note(f"{world}, {interval}")
        held = _held(make, truth, names, interval, seed)
        claims += [_claim(name, world, interval, share) for name, share in zip(names, held.tolist(), strict=True)]
    return claims


_RIPS: Final = (EstimatorName.RIPS, EstimatorName.SIPS)
_IIPS: Final = (EstimatorName.IIPS,)


def _heavy(world: World) -> World:
    """The same world, logged by a policy that shows nearly always the same."""
    prefers = np.random.default_rng(3).normal(size=world.logging.shape)
    logging = np.exp(3 * prefers)
    logging = 0.97 * logging / logging.sum(axis=1, keepdims=True) + 0.03 / logging.shape[1]
    return World(world.share, world.reward, logging, world.target)


def _rows_of(world: World, rows: int) -> Make:
    return lambda rng: world.log(rows, rng)


def _slates_of(world: SlateWorld) -> Make:
    return lambda rng: world.log(1_000, rng)


def _held(make: Make, truth: float, names: tuple[EstimatorName, ...], interval: IntervalName, seed: int) -> Floats:
    """(estimators,): the share of logs whose interval holds the truth."""
    held = np.zeros(len(names))
    for rng in np.random.default_rng(seed).spawn(WORLDS):
        log, target = make(rng)
        found = evaluate_log(log, "target", target, names, rng=rng, resamples=RESAMPLES, interval=interval)
        estimates = [found.evaluation.estimators[name] for name in names]
        held += [each.ci_low <= truth <= each.ci_high for each in estimates]
    return held / WORLDS


def _claim(name: EstimatorName, world: str, interval: IntervalName, share: float) -> Claim:
    low, high = _wilson(share, WORLDS)
    resampled_heavy = world == "heavy" and interval is not IntervalName.BERNSTEIN
    return Claim(
        what=f"coverage of {name}, {interval}, {world}",
        value=share,
        low=low,
        high=high,
        at_least=None if resampled_heavy else LEAST,
        source="" if resampled_heavy else "what was asked of intervals that say 95 %",
        protocol=PROTOCOL,
        reason=OF_HEAVY if resampled_heavy and share < LEAST else "",
    )


def _wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson 1927, *Probable inference, the law of succession, and statistical inference*, JASA 22(158)."""
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return middle - half, middle + half
