"""The published check of the estimators: the Open Bandit sample, through import and evaluation like anyone's log.

The log of the uniformly random policy is asked what Bernoulli Thompson sampling would have earned, which the log of
that very policy answers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from hub.datasets import open_bandit
from hub.datasets.open_bandit import Campaign, LoggingPolicy
from hub.evaluation.evaluate import Evaluated, evaluate
from hub.evaluation.thompson import thompson_probabilities, write_probabilities
from hub.evaluation.verdict import Verdict
from hub.imports.decision_store import ImportedDecisions
from hub.imports.decisions import import_decisions

SEED: Final = 12345  # of the published protocol
_MAP: Final = """\
action_context = {items}
context = ["user_feature_0", "user_feature_1", "user_feature_2", "user_feature_3"]

[columns]
action = "item_id"
reward = "click"
propensity = "propensity_score"
"""


class OpenBanditReport(msgspec.Struct, frozen=True, kw_only=True):
    """Random log -> Thompson sampling, one campaign; values are clicks per item shown."""

    campaign: str
    n: int
    logged_value: float
    target_value: float
    """What the target policy's own log earned."""
    ips: float
    snips: float
    relative_estimation_error: float
    """|IPS - target_value| / target_value."""
    ci_low: float
    """Of IPS."""
    ci_high: float
    ess: float
    max_weight: float
    verdict: Verdict
    warnings: list[str]


def import_sample(cache: Path, data_dir: Path, policy: LoggingPolicy, campaign: Campaign) -> ImportedDecisions:
    """Import one of the six logs as `open-bandit-POLICY-CAMPAIGN`. Raises as `open_bandit.load`."""
    log = open_bandit.load(cache, policy, campaign)
    items = open_bandit.item_context(cache, policy, campaign).resolve()
    with tempfile.TemporaryDirectory() as folder:
        map_path = Path(folder) / "map.toml"
        map_path.write_text(_MAP.format(items=msgspec.json.encode(str(items)).decode()), encoding="utf-8")
        return import_decisions(log, data_dir, name=f"open-bandit-{policy}-{campaign}", map_path=map_path)


def thompson_file(cache: Path, data_dir: Path, campaign: Campaign) -> Path:
    """Write the target policy of the protocol into the data folder. Raises as `open_bandit.load`."""
    alpha, beta = open_bandit.bts_prior(cache, campaign)
    probabilities = thompson_probabilities(alpha, beta, rng=np.random.default_rng(SEED))
    path = data_dir / "policies" / f"open-bandit-bts-{campaign}.csv"
    write_probabilities(path, probabilities, [str(arm) for arm in range(len(alpha))], first_position=1)
    return path


def evaluate_sample(cache: Path, data_dir: Path, campaign: Campaign = "all") -> OpenBanditReport:
    """Download (once), import and evaluate; about a second for a campaign.

    Raises UnavailableError when the sample is neither cached nor downloadable.
    """
    imported = import_sample(cache, data_dir, "random", campaign)
    own = import_sample(cache, data_dir, "bts", campaign)
    target = thompson_file(cache, data_dir, campaign)
    evaluated = evaluate(data_dir, imported.name, f"probabilities:{target}", seed=SEED)
    target_value = evaluate(data_dir, own.name, "logged", seed=SEED).evaluation.logged_value
    return _report(campaign, evaluated, target_value)


def _report(campaign: Campaign, evaluated: Evaluated, target_value: float) -> OpenBanditReport:
    evaluation = evaluated.evaluation
    ips, snips = evaluation.estimators["ips"], evaluation.estimators["snips"]
    return OpenBanditReport(
        campaign=campaign,
        n=evaluation.n,
        logged_value=evaluation.logged_value,
        target_value=target_value,
        ips=ips.estimate,
        snips=snips.estimate,
        relative_estimation_error=abs(ips.estimate - target_value) / target_value,
        ci_low=ips.ci_low,
        ci_high=ips.ci_high,
        ess=ips.ess,
        max_weight=ips.max_weight,
        verdict=evaluation.verdict,
        warnings=evaluation.warnings,
    )
