"""Trees that correct BG/NBD and Gamma-Gamma by what happened after earlier moments.

The same customers are looked at as they were one horizon before the moment, and earlier: what they bought in the
horizon after that is known by now. LightGBM begins at the baseline's forecast (as `init_score`) and learns the factor
by which it was wrong, from what the baseline does not see: seasons of a customer, trends, a first order's size. Value
and purchases are Tweedie distributed (a point mass at 0 and a positive part: Jorgensen 1987, Exponential dispersion
models), whoever comes back is a yes or no, whose probability is calibrated by a sigmoid (Platt 1999) on customers
that were held back. How many trees, five folds over customers say; where none helps, the baseline stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError
from hub.lifetime import bgnbd
from hub.lifetime.forecast import Baseline, Forecast
from hub.lifetime.history import Floats, History, Purchases, Unit, future, history

COLUMNS: Final = (
    "frequency", "recency", "age", "silence", "mean_value", "first_value", "last_value", "mean_gap", "silence_to_gap",
    "purchases_last_quarter", "purchases_last_half", "value_last_quarter", "value_last_half",
    "alive", "expected_purchases", "expected_value", "churn",
)  # fmt: skip
MOST_CUTS: Final = 4
FEWEST_ROWS: Final = 100
FOLDS: Final = 5
MOST_TREES: Final = 100
GRAIN: Final = 5
"""Numbers of trees that are tried: so far apart."""
_QUARTER_DAYS: Final = 91
_TREES: Final = {
    "num_leaves": 8,
    "min_data_in_leaf": 30,
    "learning_rate": 0.1,
    "lambda_l2": 5.0,
    "feature_fraction": 0.8,
    "max_bin": 63,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
}
_TINY: Final = 1e-6
_KEYS: Final = ("value", "purchases", "churn")
Say = Callable[[str], None]
Matrix = NDArray[np.float64]


class Learned(NamedTuple):
    """Three small forests over one baseline."""

    boosters: dict[str, Any]
    """`value`, `purchases`, `churn`: LightGBM's; None where trees did not help."""
    sigmoid: tuple[float, float]
    """Slope and intercept over the logit of the churn risk."""
    rows: int
    cuts: int
    trees: dict[str, int]

    def correct(self, purchases: Purchases, known: History, end_day: int, baseline: Baseline, of: Forecast) -> Forecast:
        """A baseline's forecast of the history at `end_day`, corrected."""
        rows = columns(purchases, known, end_day, baseline, of)
        starts = _starts(of)
        found = {key: starts[key] + _margin(self.boosters[key], rows) for key in _KEYS}
        slope, intercept = self.sigmoid
        return Forecast(
            horizon=of.horizon,
            purchases=np.exp(found["purchases"]),
            value=np.exp(found["value"]),
            churn=1 / (1 + np.exp(-(slope * found["churn"] + intercept))),
        )


class _Examples(NamedTuple):
    rows: Matrix
    customer: NDArray[np.int64]
    starts: dict[str, Floats]
    truth: dict[str, Floats]
    cuts: int


def learn(
    purchases: Purchases, end_day: int, horizon_days: int, unit: Unit, *, seed: int, say: Say = lambda _: None
) -> Learned:
    """Learn from moments at least one horizon before `end_day`; nothing after that day is looked at.

    Raises InputError when there is no such moment with a sound baseline and 100 customers.
    """
    examples = _examples(purchases, end_day, horizon_days, unit)
    fold = np.random.default_rng(seed).permutation(len(purchases.names))[examples.customer] % FOLDS
    boosters: dict[str, Any] = {}
    trees: dict[str, int] = {}
    margins: Floats = examples.starts["churn"]
    for key in _KEYS:
        say(f"learning {key}")
        boosters[key], trees[key], held_back = _grown(key, examples, fold, seed)
        if key == "churn":
            margins = held_back
    sigmoid = _sigmoid(margins, examples.truth["churn"])
    return Learned(boosters, sigmoid, len(examples.rows), examples.cuts, trees)


def columns(purchases: Purchases, known: History, end_day: int, baseline: Baseline, of: Forecast) -> Matrix:
    """(customers, `COLUMNS`) What trees read, all known by the end of `end_day`; NaN is missing."""
    silence = known.age - known.recency
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(known.frequency > 0, known.recency / known.frequency, np.nan)
        to_gap = silence / gap
    quarter = future(purchases, known, end_day - _QUARTER_DAYS, end_day)
    half = future(purchases, known, end_day - 2 * _QUARTER_DAYS, end_day)
    until = purchases.day <= end_day
    last = np.append(purchases.customer[until][1:] != purchases.customer[until][:-1], True)
    return np.column_stack(
        [
            known.frequency, known.recency, known.age, silence, known.mean_value, known.first_value,
            purchases.value[until][last], gap, to_gap, quarter.purchases, half.purchases, quarter.value, half.value,
            bgnbd.alive(baseline.buying, known), of.purchases, of.value, of.churn,
        ]
    )  # fmt: skip


def _examples(purchases: Purchases, end_day: int, horizon_days: int, unit: Unit) -> _Examples:
    """Customers as they were at up to four moments, half a horizon apart, each with a horizon of what came."""
    step = max(1, horizon_days // 2)
    cuts = [end_day - horizon_days - step * number for number in range(MOST_CUTS)]
    parts: list[tuple[Matrix, History, Forecast, Any]] = []
    # before that too few have had the time to come back for a baseline that says something
    earliest = purchases.first_day + min(step, _QUARTER_DAYS)
    for cut in cuts:
        if cut < earliest:
            break
        known = history(purchases, cut, unit)
        try:
            baseline = Baseline.fit(known)
        except InputError:
            break
        of = baseline.forecast(known, horizon_days / unit.days)
        rows = columns(purchases, known, cut, baseline, of)
        parts.append((rows, known, of, future(purchases, known, cut, cut + horizon_days)))
    count = sum(len(rows) for rows, *_ in parts)
    if count < FEWEST_ROWS:
        span = end_day - purchases.first_day
        raise InputError(
            f"{count} customers to learn from, expected at least {FEWEST_ROWS}: the purchases span {span} days up to "
            f"the moment, and {horizon_days} of them are what came after; give a shorter --horizon, or --model bgnbd"
        )
    starts = [_starts(of) for _, _, of, _ in parts]
    came = [after for *_, after in parts]
    return _Examples(
        rows=np.concatenate([rows for rows, *_ in parts]),
        customer=np.concatenate([known.customer for _, known, _, _ in parts]),
        starts={key: np.concatenate([start[key] for start in starts]) for key in _KEYS},
        truth={
            "value": np.concatenate([after.value for after in came]),
            "purchases": np.concatenate([after.purchases for after in came]),
            "churn": np.concatenate([after.purchases == 0 for after in came]).astype(np.float64),
        },
        cuts=len(parts),
    )


def _starts(of: Forecast) -> dict[str, Floats]:
    """The baseline as margins: logarithms of quantities, the logit of a risk."""
    churn = np.clip(of.churn, _TINY, 1 - _TINY)
    return {
        "value": np.log(np.maximum(of.value, _TINY)),
        "purchases": np.log(np.maximum(of.purchases, _TINY)),
        "churn": np.log(churn / (1 - churn)),
    }


def _grown(key: str, examples: _Examples, fold: NDArray[np.int64], seed: int) -> tuple[Any, int, Floats]:
    """A booster, its number of trees, and the margin (rows,) of each row by trees that never saw its customer."""
    import lightgbm

    truth = examples.truth[key]
    if np.ptp(truth) == 0:
        return None, 0, examples.starts[key]
    objective = {"objective": "binary"} if key == "churn" else {"objective": "tweedie", "tweedie_variance_power": 1.5}
    settings = {**_TREES, **objective, "seed": seed}

    def data(of: NDArray[np.bool_]) -> Any:
        start = examples.starts[key][of]
        return lightgbm.Dataset(examples.rows[of], label=truth[of], init_score=start, feature_name=list(COLUMNS))

    losses = np.zeros(MOST_TREES // GRAIN + 1)
    grown = []
    for number in range(FOLDS):
        held = fold == number
        if not held.any():
            continue
        booster = lightgbm.train(settings, data(~held), MOST_TREES)
        margins = np.empty((len(losses), np.count_nonzero(held)))
        margins[0] = examples.starts[key][held]
        for part in range(1, len(losses)):
            margins[part] = margins[part - 1] + booster.predict(
                examples.rows[held],
                raw_score=True,
                start_iteration=(part - 1) * GRAIN,
                num_iteration=GRAIN,
                num_threads=1,
            )
        losses += [_loss(key, truth[held], margin) for margin in margins]
        grown.append((held, margins))
    best = int(np.argmin(losses))
    held_back = examples.starts[key].copy()
    for held, margins in grown:
        held_back[held] = margins[best]
    if not best:
        return None, 0, held_back
    everything = data(np.ones(len(truth), dtype=np.bool_))
    return lightgbm.train(settings, everything, best * GRAIN), best * GRAIN, held_back


def _loss(key: str, truth: Floats, margin: Floats) -> float:
    """Negative log-likelihood, up to what does not depend on the margin."""
    if key == "churn":
        return float(np.sum(np.logaddexp(0, margin) - truth * margin))
    # Tweedie of power 1.5: -y mu^-0.5 / -0.5 + mu^0.5 / 0.5
    return float(np.sum(2 * truth * np.exp(-0.5 * margin) + 2 * np.exp(0.5 * margin)))


def _margin(booster: Any, rows: Matrix) -> Floats:
    if booster is None:
        return np.zeros(len(rows))
    return np.asarray(booster.predict(rows, raw_score=True, num_threads=1), dtype=np.float64)


def _sigmoid(margin: Floats, truth: Floats) -> tuple[float, float]:
    """Slope and intercept of largest likelihood, with Platt's targets that keep off 0 and 1."""
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    yes, no = truth.sum(), (1 - truth).sum()
    if not yes or not no:
        return 1.0, 0.0
    aim = np.where(truth == 1, (yes + 1) / (yes + 2), 1 / (no + 2))

    def loss(at: Floats) -> tuple[float, Floats]:
        z = at[0] * margin + at[1]
        off = 1 / (1 + np.exp(-z)) - aim
        return float(np.sum(np.logaddexp(0, z) - aim * z)), np.array([off @ margin, off.sum()])

    with threadpool_limits(1):  # for two parameters several threads only wait for each other
        found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.05, 20.0), (-20.0, 20.0)])
    return float(found.x[0]), float(found.x[1])
