"""Off-policy evaluation of what our own nodes decided: from a placement's name to a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgewise.ids import ArmName, PlacementName
from hub.evaluation.bootstrap import RESAMPLES
from hub.evaluation.bundles import Progress, answered, asked_of
from hub.evaluation.evaluate import Evaluated, evaluate_log
from hub.evaluation.from_ledger import MOST_DECISIONS, log_of_placement
from hub.evaluation.names import DEFAULT_ESTIMATORS, EstimatorName, IntervalName
from hub.evaluation.policies import asks_a_bundle, target_policy
from hub.release.live_policy import LivePolicy
from hub.release.releases import Releases
from hub.replay import Replayer
from hub.scoring_child import ScoringChild


class Window(NamedTuple):
    """Which decisions: `since_ms <= time < until_ms`, the latest `most` of them; `now_ms` settles what waits."""

    since_ms: int
    until_ms: int
    now_ms: int
    most: int = MOST_DECISIONS
    arm: ArmName | None = None
    """Only this arm's decisions; None: those of all."""


def evaluate_placement(
    releases: Releases,
    placement: PlacementName,
    policy: str,
    estimators: Sequence[EstimatorName] = DEFAULT_ESTIMATORS,
    *,
    window: Window,
    seed: int = 0,
    resamples: int = RESAMPLES,
    interval: IntervalName = IntervalName.BOOTSTRAP,
    delimiter: str | None = None,
    progress: Progress = lambda _done, _of: None,
) -> Evaluated:
    """What `policy` would have earned in a placement, in rewards a slot, by the live release's reward definition.

    Raises:
        InputError: nothing can be evaluated there, or `policy` names nothing.
        BundleRefused, ModelRefused: what it names is damaged, or does not fit.
    """
    ledger = releases.ledger
    made = log_of_placement(
        ledger,
        placement,
        LivePolicy(releases.repository)(),
        since_ms=window.since_ms,
        until_ms=window.until_ms,
        now_ms=window.now_ms,
        most=window.most,
        arm=window.arm,
    )
    rng = np.random.default_rng(seed)
    if not asks_a_bundle(policy):
        target = target_policy(policy, made.log, delimiter)
        return evaluate_log(made.log, policy, target, estimators, rng=rng, resamples=resamples, interval=interval)
    asked = asked_of(policy, placement, releases)
    with ScoringChild() as child:
        replayer = Replayer(ledger, releases, child)
        said = answered(made.log, placement, policy, asked, ledger=ledger, replayer=replayer, progress=progress)
    cautions = []
    if said.left_out:
        # A policy that would often not have ranked is another one than the estimate tells of.
        told = ", ".join(f"{why} {count:,}" for why, count in sorted(said.left_out.items()))
        cautions.append(f"{sum(said.left_out.values()):,} decisions are left out, it would not have ranked ({told})")
    return evaluate_log(
        said.log,
        policy,
        said.target,
        estimators,
        rng=rng,
        resamples=resamples,
        interval=interval,
        cautions=cautions,
    )


def evaluate_own(
    data_dir: Path,
    placement: PlacementName,
    policy: str,
    estimators: Sequence[EstimatorName],
    *,
    window: Window,
    seed: int = 0,
    interval: IntervalName = IntervalName.BOOTSTRAP,
    delimiter: str | None = None,
    progress: Progress = lambda _done, _of: None,
) -> Evaluated:
    """As `evaluate_placement`, in a data folder."""
    from hub.release.releases import open_releases

    with open_releases(data_dir) as releases:
        return evaluate_placement(
            releases,
            placement,
            policy,
            estimators,
            window=window,
            seed=seed,
            interval=interval,
            delimiter=delimiter,
            progress=progress,
        )
