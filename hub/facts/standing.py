"""How items do over weeks, as live facts that the hub counts itself: money, pieces, and rates with a prior.

    revenue_7d units_7d           money in minor units of the site's currency, and pieces, less refunds; likewise _30d
    click_rate_7d add_rate_7d order_rate_7d   times for each view; likewise _30d
    return_rate_7d                refunds for each order; likewise _30d

An item that few have seen has the site's own rate, and moves away from it as it is seen: PRIOR_TRIALS views count for
what is true of all. Only names that the live site declares under `live_facts` are counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

from edgewise.ids import ItemId
from edgewise.profile.buckets import total_since
from edgewise.profile.rates import Rate, rate_of
from edgewise.profile.scopes import Scope, Scopes
from edgewise.profile.state import DAY_MS
from hub.counted_facts import OF_WEEKS, RATES, WINDOWS_DAYS

PRIOR_TRIALS: Final = 20.0
LONGEST_DAYS: Final = max(WINDOWS_DAYS.values())
DECIMALS: Final = 3
"""Of a rate: smaller changes are not worth a new version of the facts."""


def columns(scopes: Scopes, names: Iterable[str], now_ms: int) -> dict[str, dict[ItemId, float]]:
    """The columns of those `names` that are counted here; zeros are left out."""
    return {name: _column(scopes, *_meaning(name, scopes, now_ms)) for name in names if name in OF_WEEKS}


def _column(scopes: Scopes, read: Callable[[Scope], float], digits: int) -> dict[ItemId, float]:
    found = {item: round(read(scope), digits) for item, scope in scopes.items.items()}
    return {item: number for item, number in found.items() if number and not math.isnan(number)}


def _meaning(name: str, scopes: Scopes, now_ms: int) -> tuple[Callable[[Scope], float], int]:
    word, _, window = name.rpartition("_")
    today, days = now_ms // DAY_MS, WINDOWS_DAYS[window]
    if word == "revenue":
        return lambda scope: float(total_since(scope.revenue_minor, today, days)), 0
    if word == "units":
        return lambda scope: float(total_since(scope.units, today, days)), 0
    successes, trials = RATES[word]
    of_all = rate_of(scopes.site.counts, Rate(successes, trials, days), now_ms)
    if math.isnan(of_all):
        return lambda _: math.nan, DECIMALS
    asked = Rate(successes, trials, days, PRIOR_TRIALS * of_all, PRIOR_TRIALS)
    return lambda scope: rate_of(scope.counts, asked, now_ms), DECIMALS
