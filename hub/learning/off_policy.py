"""What a log says of challenger and champion together: one log, two targets, the same resamples.

The lift is a difference on the same rows: what a busy day or a rich visitor does to both cancels out. Values are
self-normalised (`hub.evaluation.estimators.snips`), so that neither leaves the range of the rewards. An end of an
interval is the worse of the bootstrap's percentile and of the linearised normal one: few units make the former too
narrow, heavy weights the latter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from edgewise.errors import InputError
from hub.evaluation.bootstrap import resampled_sums
from hub.evaluation.estimators import effective_sample_size, importance_weights, ips, standard_error
from hub.evaluation.logged import Floats, Integers, LoggedDecisions
from hub.evaluation.policies import Target
from hub.evaluation.verdict import Verdict, judge, overlap
from hub.learning.evidence import GuardrailEvidence, Interval, OffPolicy, SegmentEvidence

RESAMPLES: Final = 4_000
_PART_RESAMPLES: Final = 1_000
SEGMENT_ALPHA: Final = 0.05
"""Of each end of a segment's or guardrail's interval. Not corrected for their number: more of them find more harm."""
_STDERRS: Final = 4.0


class Watched(NamedTuple):
    """A guardrail on the rows of a log."""

    name: str
    values: Floats
    """(rows,): what came of each row."""
    tolerated: float
    """How far its mean may change for the worse, as part of the champion's."""
    higher_is_better: bool = True


def off_policy(
    log: LoggedDecisions,
    challenger: Target,
    champion: Target | None,
    *,
    time_ms: Integers,
    alpha: float,
    rng: np.random.Generator,
    segments: Mapping[str, Sequence[str] | npt.NDArray[np.str_]] | None = None,
    guardrails: Sequence[Watched] = (),
    undecided: float = 0.0,
    resamples: int = RESAMPLES,
) -> OffPolicy:
    """Compare two targets on a log; `champion` None is the logging policy itself.

    `time_ms` (rows,) is when each row was decided. `segments`: name -> a value for each row. `alpha` in (0, 0.5) is the
    chance that an end of the lift's interval is missed.

    Raises InputError for a log without rows.
    """
    if not log.rows:
        raise InputError("no logged row to judge by; expected some with propensities")
    weights = importance_weights(challenger.of_logged(log), log.propensity)
    before = np.ones(log.rows) if champion is None else importance_weights(champion.of_logged(log), log.propensity)
    unsupported = challenger.unsupported(log)
    seen = overlap(weights, log.reward, unsupported, log.unit, unit_name=log.unit_name)
    judged = judge(seen)
    pair = _Pair(weights, before, log.reward, log.unit)
    middle = np.median(time_ms)
    return OffPolicy(
        champion=_value(before, log.reward),
        challenger=_value(weights, log.reward),
        lift=pair.lift(np.ones(log.rows, np.bool_), alpha, resamples, rng),
        alpha=alpha,
        halves=tuple(
            pair.lift(half, SEGMENT_ALPHA, _PART_RESAMPLES, rng) for half in (time_ms <= middle, time_ms > middle)
        ),
        rows=seen.rows,
        units=seen.units,
        unit_name=seen.unit_name,
        ess=seen.ess,
        max_weight=seen.max_weight,
        share_of_largest=seen.share_of_largest,
        largest_reward_share=_largest_share(np.abs(log.reward), log.unit),
        unsupported=seen.unsupported,
        rewarded_ess=seen.rewarded_ess,
        mean_weights={"challenger": _mean_weight(weights, log.unit), "champion": _mean_weight(before, log.unit)},
        refused=judged.reasons if judged.verdict is Verdict.REFUSED else (),
        warnings=judged.reasons if judged.verdict is Verdict.WARN else (),
        explores=_explores(challenger),
        champion_explores=_logged_explores(log) if champion is None else _explores(champion),
        choices=_shown(challenger, log) if champion is None else _choices(challenger, log),
        champion_choices=_logged_shown(log) if champion is None else _choices(champion, log),
        undecided=undecided,
        segments=tuple(_by_segment(pair, segments or {}, rng)),
        guardrails=tuple(_guardrail(pair, watched, rng) for watched in guardrails),
    )


def lift_between(
    log: LoggedDecisions, first: Target, second: Target, *, alpha: float, rng: np.random.Generator
) -> Interval:
    """How much more a row of the log would have earned by `first` than by `second`; each end is missed with `alpha`."""
    new, old = (importance_weights(target.of_logged(log), log.propensity) for target in (first, second))
    return _Pair(new, old, log.reward, log.unit).lift(np.ones(log.rows, np.bool_), alpha, RESAMPLES, rng)


class _Pair(NamedTuple):
    """Both weights on the same rows; all (rows,)."""

    challenger: Floats
    champion: Floats
    reward: Floats
    unit: Integers

    def lift(self, among: npt.NDArray[np.bool_], alpha: float, resamples: int, rng: np.random.Generator) -> Interval:
        """The difference of the two self-normalised values; NaN where one of them has no weight."""
        new, old, reward = self.challenger[among], self.champion[among], self.reward[among]
        if not (len(reward) and new.sum() > 0 and old.sum() > 0):
            return Interval(float("nan"), float("nan"), float("nan"))
        _, unit = np.unique(self.unit[among], return_inverse=True)
        sums = np.stack([_of_unit(unit, part) for part in (new * reward, new, old * reward, old)], axis=1)
        estimate = _difference(sums.sum(axis=0, keepdims=True))[0]
        replicates = _difference(resampled_sums(sums, resamples, rng))
        # A resample without any weight cannot be computed, and must not look like one that went well.
        low, high = np.quantile(np.nan_to_num(replicates, nan=0.0), [alpha, 1 - alpha])
        spread = float(norm.ppf(1 - alpha)) * _stderr(sums)
        if not np.isfinite(spread):
            return Interval(float(estimate), float("-inf"), float("inf"))
        return Interval(float(estimate), float(min(low, estimate - spread)), float(max(high, estimate + spread)))


def _of_unit(unit: npt.NDArray[np.intp], part: Floats) -> Floats:
    return np.asarray(np.bincount(unit, part), np.float64)


def _difference(sums: Floats) -> Floats:
    """(samples,): challenger less champion, from (samples, 4) sums."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3], np.float64)


def _stderr(sums: Floats) -> float:
    """Linearised, over units (Cochran 1977, *Sampling Techniques*, section 2.11); NaN for one unit."""
    units = len(sums)
    if units < 2:  # noqa: PLR2004  # no spread
        return float("nan")
    total = sums.sum(axis=0)
    new = (sums[:, 0] - total[0] / total[1] * sums[:, 1]) / total[1]
    old = (sums[:, 2] - total[2] / total[3] * sums[:, 3]) / total[3]
    return float(np.sqrt(units / (units - 1) * np.sum((new - old) ** 2)))


def _value(weights: Floats, rewards: Floats) -> float:
    total = float(weights.sum())
    return float((weights * rewards).sum()) / total if total > 0 else float("nan")


def _largest_share(values: Floats, unit: Integers) -> float:
    of_unit = np.bincount(unit, values)
    total = float(of_unit.sum())
    return float(of_unit.max()) / total if total > 0 else 0.0


def _mean_weight(weights: Floats, unit: Integers) -> Interval:
    mean = float(weights.mean())
    error = standard_error(ips(weights, np.ones(len(weights))), unit)
    reach = _STDERRS * error if np.isfinite(error) else 0.0
    return Interval(mean, mean - reach, mean + reach)


def _explores(target: Target) -> float:
    """Mean over the log's rows of the probability of anything but the most likely action."""
    return float(np.mean(1 - np.maximum(target.table.max(axis=1), target.elsewhere)[target.group]))


def _logged_explores(log: LoggedDecisions) -> float:
    """At most: what the log itself says of the probability of what it showed."""
    return float(np.mean(1 - log.propensity))


def _choices(target: Target, log: LoggedDecisions) -> float:
    """Effective number of the items that it would put into first places, had it not to explore."""
    best = target.table.argmax(axis=1)[target.group[_first(log)]]
    return _effective(np.bincount(best).astype(np.float64))


def _shown(target: Target, log: LoggedDecisions) -> float:
    """Effective number of the items that it would show in first places, exploration included."""
    return _effective(np.asarray(target.table[target.group[_first(log)]].sum(axis=0), np.float64))


def _logged_shown(log: LoggedDecisions) -> float:
    """Likewise of the log itself, which does not say what it would have put first."""
    return _effective(np.bincount(log.action[_first(log)]).astype(np.float64))


def _first(log: LoggedDecisions) -> npt.NDArray[np.bool_]:
    return np.asarray(log.position == log.position.min(), np.bool_)


def _effective(counts: Floats) -> float:
    """The exponential of the entropy: as many equally frequent ones would be as diverse."""
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def _by_segment(
    pair: _Pair, segments: Mapping[str, Sequence[str] | npt.NDArray[np.str_]], rng: np.random.Generator
) -> list[SegmentEvidence]:
    found = []
    for name, said in segments.items():
        values = np.asarray(said)
        for value in np.unique(values):
            among = values == value
            if effective_sample_size(pair.challenger[among]) <= 1:
                continue
            lift = pair.lift(among, SEGMENT_ALPHA, _PART_RESAMPLES, rng)
            found.append(SegmentEvidence(f"{name}={value}", float(among.mean()), lift))
    return found


def _guardrail(pair: _Pair, watched: Watched, rng: np.random.Generator) -> GuardrailEvidence:
    sign = 1.0 if watched.higher_is_better else -1.0
    among = np.ones(len(pair.unit), np.bool_)
    lift = pair._replace(reward=sign * watched.values).lift(among, SEGMENT_ALPHA, _PART_RESAMPLES, rng)
    champion = abs(_value(pair.champion, watched.values))
    if not champion > 0:
        # Nothing to compare with: any loss is one without bound, none is none.
        nothing = Interval(0.0, 0.0, 0.0)
        return GuardrailEvidence(watched.name, nothing if lift.low >= 0 else lift, watched.tolerated)
    relative = Interval(lift.estimate / champion, lift.low / champion, lift.high / champion)
    return GuardrailEvidence(watched.name, relative, watched.tolerated)
