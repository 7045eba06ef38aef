"""What is expected of each customer in the time to come."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

import numpy as np

from edgewise.errors import InputError
from hub.lifetime import bgnbd, gamma_gamma
from hub.lifetime.bgnbd import Bgnbd
from hub.lifetime.gamma_gamma import GammaGamma
from hub.lifetime.history import Floats, History

FAR_FROM_INDEPENDENT: Final = 0.3
"""A correlation of which a reader is told."""
NOBODY_LEAVES: Final = 1e-4
"""A mean chance to leave after a purchase."""


class Forecast(NamedTuple):
    """Of the customers of a history, over `horizon` units from its moment on; arrays (customers,)."""

    horizon: float
    purchases: Floats
    """Expected number of days with a purchase."""
    value: Floats
    """Expected money, not discounted."""
    churn: Floats
    """P(no purchase in that time)."""


class Baseline(NamedTuple):
    """BG/NBD and Gamma-Gamma, fitted on one history."""

    buying: Bgnbd
    spending: GammaGamma | None
    """None where spending does not differ or too few came back; then everybody is expected to spend the mean."""
    mean_value: float
    """Of every purchase that was known, first ones included."""

    @classmethod
    def fit(cls, known: History) -> Self:
        """Raises InputError as `bgnbd.fit`."""
        buying = bgnbd.fit(known)
        repeated = np.where(known.frequency > 0, known.mean_value, 0.0)
        spent = float((known.first_value + known.frequency * repeated).sum())
        mean = spent / float((known.frequency + 1).sum())
        try:
            return cls(buying, gamma_gamma.fit(known), mean)
        except InputError:
            return cls(buying, None, mean)

    def value_each(self, known: History) -> Floats:
        """(customers,) What a future purchase is expected to bring."""
        if self.spending is None:
            return np.full(known.size, self.mean_value)
        return gamma_gamma.expected_value(self.spending, known)

    def forecast(self, known: History, horizon: float) -> Forecast:
        """Over `horizon` units, more than 0."""
        purchases = bgnbd.expected_purchases(self.buying, known, horizon)
        return Forecast(
            horizon=horizon,
            purchases=purchases,
            value=purchases * self.value_each(known),
            churn=bgnbd.none_bought(self.buying, known, horizon),
        )

    def warnings(self) -> list[str]:
        """What a reader of the forecast should know about the fit."""
        said = []
        if self.buying.leaving < NOBODY_LEAVES:
            said.append(
                "BG/NBD finds that nobody leaves for good: everybody is taken to be alive, buying at his own rate"
            )
        elif self.buying.at_limit:
            said.append("BG/NBD: a parameter went to its limit, the purchases do not tell it apart from 0 or infinity")
        if self.spending is None:
            said.append("Gamma-Gamma was not fitted: too few came back, or all spend alike; the mean value is used")
        elif self.spending.at_limit:
            said.append("Gamma-Gamma: a parameter went to its limit; expected values lean on few customers")
        if self.spending is not None and abs(self.spending.correlation) > FAR_FROM_INDEPENDENT:
            said.append(
                f"how often and how much go together (correlation {self.spending.correlation:.2f}), which Gamma-Gamma "
                "takes to be independent"
            )
        return said
