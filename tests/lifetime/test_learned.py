"""Trees over the baseline: they find what it cannot see, and never look ahead."""

from __future__ import annotations

import numpy as np
import pytest
from lifetime_world import FIRST_DAY, shop

from edgewise.errors import InputError
from hub.lifetime.calibration import calibrate
from hub.lifetime.forecast import Baseline, Forecast
from hub.lifetime.history import Purchases, Unit, future, history
from hub.lifetime.learned import learn
from hub.lifetime.purchases import by_day

DAYS, END = 600, FIRST_DAY + 450


@pytest.fixture(scope="module")
def clubs() -> Purchases:
    """A shop where those whose first order is large buy in the club's weeks only: BG/NBD sees no first order."""
    plain = shop(11, 400, r=1.5, alpha=60.0, a=0.3, b=4.0, days=DAYS)
    first = plain.value.copy()
    starts = np.searchsorted(plain.customer, np.arange(len(plain.names)))
    generous = np.random.default_rng(1).random(len(plain.names)) < 0.5
    first[starts] = np.where(generous, 500.0, 5.0)
    # the others stop half a year after they came
    kept = generous[plain.customer] | (plain.day - plain.day[starts][plain.customer] < 120)
    names = np.array(plain.names, dtype=object)[plain.customer[kept]]
    return by_day(names, plain.day[kept], first[kept])[0]


def forecasts(bought: Purchases) -> tuple[Forecast, Forecast]:
    of = history(bought, END, Unit.DAY)
    baseline = Baseline.fit(of)
    plain = baseline.forecast(of, float(DAYS - 450))
    learned = learn(bought, END, DAYS - 450, Unit.DAY, seed=0)
    return plain, learned.correct(bought, of, END, baseline, plain)


@pytest.mark.slow
def test_what_the_baseline_cannot_see_is_learned(clubs: Purchases) -> None:
    plain, corrected = forecasts(clubs)
    of = history(clubs, END, Unit.DAY)
    came = future(clubs, of, END, FIRST_DAY + DAYS)
    before, after = (calibrate(of, each, came, seed=0) for each in (plain, corrected))
    assert after.purchases_rmse < before.purchases_rmse
    assert after.churn_brier < before.churn_brier
    assert after.churn_auc.value > before.churn_auc.value
    assert ((corrected.churn > 0) & (corrected.churn < 1)).all()


@pytest.mark.slow
def test_what_comes_later_changes_nothing(clubs: Purchases) -> None:
    early = clubs.day <= END
    names = np.array(clubs.names, dtype=object)[clubs.customer]
    cut_off = by_day(names[early], clubs.day[early], clubs.value[early])[0]
    for whole, part in zip(forecasts(clubs), forecasts(cut_off), strict=True):
        np.testing.assert_array_equal(whole.purchases, part.purchases)
        np.testing.assert_array_equal(whole.value, part.value)
        np.testing.assert_array_equal(whole.churn, part.churn)


def test_too_short_a_history_is_refused(clubs: Purchases) -> None:
    with pytest.raises(InputError, match=r"give a shorter --horizon, or --model bgnbd"):
        learn(clubs, FIRST_DAY + 100, 90, Unit.DAY, seed=0)
