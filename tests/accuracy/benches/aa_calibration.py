"""Whether our inference keeps what it says: experiments without any effect, looked at once and every day.

False positives of 2,000 simulated A/A tests, sample ratio alarms of 20,000, what CUPED takes out at known
correlations, how often intervals hold a planted lift, and the largest difference to tea-tasting, an independent
implementation.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from statistics_world import arm, for_oracle

from accuracy.claim import Claim
from accuracy.ground import Ground
from hub.statistics.balance import srm
from hub.statistics.compare import Kind, Method, compare
from hub.statistics.summary import EMPTY, Floats, Summary

TESTS: Final = 2_000
DAYS: Final = 28
UNITS_A_DAY: Final = 400
"""In each arm; 11,200 at the end."""
SPLITS: Final = 20_000
CORRELATIONS: Final = (0.3, 0.5, 0.7, 0.9)
LEVEL: Final = 0.05
LIFT: Final = 0.05
SEED: Final = 20_260
SHOP: Final = (
    f"{TESTS:,} simulated A/A tests, seed {SEED}: {UNITS_A_DAY} new units a day in each arm for {DAYS} days, each test "
    "read by three metrics: conversion (4 %), revenue a unit (log-normal baskets of sigma 1), revenue a visit (ratio; "
    "visits are 1 and a Poisson number of mean 1); level 5 %"
)


def measure(ground: Ground) -> list[Claim]:
    """Simulate, compare, count."""
    ground.terminal.note("aa_calibration: A/A tests")
    claims = _false_positives()
    ground.terminal.note("aa_calibration: splits, CUPED, coverage, oracle")
    return [*claims, *_sample_ratio(), *_cuped(), *_coverage(), _oracle()]


def _share(what: str, hits: int, of: int, **bounds: Any) -> Claim:
    """A share with its interval (Wilson 1927)."""
    z, share = 1.959964, hits / of
    center, reach = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    return Claim(what=what, value=share, low=(center - reach) / scale, high=(center + reach) / scale, **bounds)


def _false_positives() -> list[Claim]:
    rng = np.random.default_rng(SEED)
    once = {(kind, method): 0 for kind in Kind for method in Method}
    ever = dict.fromkeys(once, 0)
    for _ in range(TESTS):
        looks: dict[tuple[Kind, Method], list[bool]] = {key: [] for key in once if key[1] is not Method.BAYESIAN}
        arms = [dict.fromkeys(Kind, EMPTY) for _ in range(2)]
        for _ in range(DAYS):
            arms = [{kind: sums[kind] + of for kind, of in _day(rng).items()} for sums in arms]
            for (kind, method), seen in looks.items():
                found = compare(arms[0][kind], arms[1][kind], kind=kind, method=method)
                seen.append(found.p_value < LEVEL)
        for key, seen in looks.items():
            once[key] += seen[-1]
            ever[key] += any(seen)
        for kind in Kind:
            chance = compare(arms[0][kind], arms[1][kind], method=Method.BAYESIAN).chance_to_win
            once[kind, Method.BAYESIAN] += not LEVEL / 2 <= chance <= 1 - LEVEL / 2
    daily = f"looked at on each of {DAYS} days"
    return [
        _rate("fixed method, one look", once, Method.FIXED, at_least=0.04, at_most=0.06),
        _rate(f"sequential method, {daily}", ever, Method.SEQUENTIAL, at_most=LEVEL),
        *(
            _share(
                f"false positives of the sequential method, {daily}, {kind}",
                ever[kind, Method.SEQUENTIAL],
                TESTS,
                at_most=LEVEL,
                protocol=SHOP,
            )
            for kind in Kind
        ),
        _rate(f"fixed method, {daily}", ever, Method.FIXED, source="why there is a sequential one"),
        _rate("Bayesian method (normal posterior, chance beyond 97.5 %), one look", once, Method.BAYESIAN),
    ]


def _rate(what: str, hits: dict[tuple[Kind, Method], int], method: Method, **bounds: Any) -> Claim:
    """Over all metrics; those of a test go together, so that the interval is a little too narrow."""
    each = {kind.value: hits[kind, method] / TESTS for kind in Kind}
    pooled = sum(hits[kind, method] for kind in Kind)
    return _share(f"false positives of the {what}", pooled, TESTS * len(Kind), protocol=SHOP, detail=each, **bounds)


def _day(rng: np.random.Generator) -> dict[Kind, Summary]:
    bought = (rng.random(UNITS_A_DAY) < 0.04).astype(np.float64)
    revenue = bought * np.exp(rng.normal(3.0, 1.0, UNITS_A_DAY))
    visits = 1.0 + rng.poisson(1.0, UNITS_A_DAY).astype(np.float64)
    return {
        Kind.BINARY: Summary.of(bought),
        Kind.MEAN: Summary.of(revenue),
        Kind.RATIO: Summary.of(revenue * visits, denominators=visits),
    }


def _sample_ratio() -> list[Claim]:
    rng = np.random.default_rng(SEED + 1)
    alarms = broken = 0
    for split in range(SPLITS):
        weights = {"A": 1.0, "B": 1.0} if split % 2 else {"A": 8.0, "B": 1.0, "C": 1.0}
        shares = np.array(list(weights.values())) / sum(weights.values())
        counts = rng.multinomial(10_000, shares)
        alarms += srm(dict(zip(weights, map(int, counts), strict=True)), weights).alarm
        lost = rng.multinomial(10_000, [0.53, 0.47])
        broken += srm({"A": int(lost[0]), "B": int(lost[1])}).alarm
    protocol = f"{SPLITS:,} splits of 10,000 units as meant, half 1:1, half 8:1:1; alarm at p < .0005; seed {SEED + 1}"
    return [
        _share("false alarms of the sample ratio check", alarms, SPLITS, at_most=0.002, protocol=protocol),
        _share("alarms where 53 % are in an arm of a half", broken, SPLITS, protocol=protocol),
    ]


def _cuped() -> list[Claim]:
    protocol = f"20 A/A tests of 2 x 20,000 units a correlation, mean variance reduction of the lift; seed {SEED + 2}"
    rng = np.random.default_rng(SEED + 2)
    claims = []
    for rho in CORRELATIONS:
        found = []
        for _ in range(20):
            arms = [arm(rng, 20_000, rho=rho) for _ in range(2)]
            found.append(compare(*(Summary.of(of.spend, covariates=of.before) for of in arms)).variance_reduction)
        claims.append(
            Claim(
                what=f"variance that CUPED takes out at rho = {rho}",
                value=float(np.mean(found)),
                low=float(np.quantile(found, 0.025)),
                high=float(np.quantile(found, 0.975)),
                equals=rho * rho,
                within=0.02,
                source="rho^2, Deng et al. 2013",
                protocol=protocol,
            )
        )
    return claims


def _coverage() -> list[Claim]:
    rng = np.random.default_rng(SEED + 3)
    kinds = ("conversion", "mean with CUPED", "ratio")
    held = dict.fromkeys(kinds, 0)
    for _ in range(TESTS):
        first, second = (arm(rng, 2_000, lift=lift, rho=0.6) for lift in (0.0, LIFT))
        seen = {
            "conversion": compare(Summary.of(first.converted), Summary.of(second.converted), kind=Kind.BINARY),
            "mean with CUPED": compare(*(Summary.of(of.spend, covariates=of.before) for of in (first, second))),
            "ratio": compare(
                *(Summary.of(_paid(of.spend, of.orders), denominators=of.orders) for of in (first, second))
            ),
        }
        for kind, found in seen.items():
            held[kind] += found.ci_low <= LIFT <= found.ci_high
    protocol = f"{TESTS:,} tests of 2 x 2,000 units with a planted lift of 5 %; seed {SEED + 3}"
    return [
        _share(f"95 % intervals that hold the planted lift, {kind}", hits, TESTS, at_least=0.94, protocol=protocol)
        for kind, hits in held.items()
    ]


def _paid(value: Floats, orders: Floats) -> Floats:
    """So much each time: sum over sum lifts as the value does."""
    return value * orders


def _oracle() -> Claim:
    import tea_tasting as tea

    rng = np.random.default_rng(SEED + 4)
    largest = 0.0
    for _ in range(20):
        sizes = rng.integers(50, 20_000, 2)
        arms = [arm(rng, int(n), lift=lift, rho=0.6) for n, lift in zip(sizes, (0.0, 0.02), strict=True)]
        columns = {name: np.concatenate([getattr(of, name) for of in arms]) for name in arms[0]._fields}
        rows = for_oracle({"variant": np.repeat([0, 1], sizes), **columns})
        metrics = {
            "mean": tea.Mean("spend"),
            "binary": tea.Mean("converted"),
            "ratio": tea.RatioOfMeans("spend", "orders"),
            "cuped": tea.Mean("spend", "before"),
        }
        expected: Any = tea.Experiment(metrics).analyze(rows)
        ours = {
            "mean": [Summary.of(of.spend) for of in arms],
            "binary": [Summary.of(of.converted) for of in arms],
            "ratio": [Summary.of(of.spend, denominators=of.orders) for of in arms],
            "cuped": [Summary.of(of.spend, covariates=of.before) for of in arms],
        }
        for name, (control, variant) in ours.items():
            found, other = compare(control, variant), expected[name]
            pairs = (
                (found.absolute_lift, other.effect_size),
                (found.relative_lift, other.rel_effect_size),
                (found.ci_low, other.rel_effect_size_ci_lower),
                (found.ci_high, other.rel_effect_size_ci_upper),
                (found.p_value, other.pvalue),
            )
            largest = max(largest, *(abs(one - another) for one, another in pairs))
    return Claim(
        what="largest difference to tea-tasting: lifts, intervals, p-values",
        value=float(largest),  # its oracle has a number type of its own, which JSON does not know
        at_most=1e-9,
        source="tea-tasting 1.14",
        protocol=f"20 experiments of 50 to 20,000 units an arm, mean, proportion, ratio and CUPED; seed {SEED + 4}",
    )
