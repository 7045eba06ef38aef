"""Live facts over a release: made once for every sheet, outside of all requests, so that a request pays nothing.

But for contents that show one (`edgewise.live_contents`): the first request that asks for such a content writes it.
Copy on write: the columns of numbers that are live are made anew, all else of the bundle is shared. What is sold out
is taken from every placement's places, from what callers bring, from what is forced, and from the fallback.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.admission.load import Bundle
from edgewise.bundle.facts import NO_FACTS, FactName, FactSheet
from edgewise.bundle.items import ItemTable
from edgewise.bundle.policy import LiveFact
from edgewise.ids import ItemId

Numbers = NDArray[np.float64]


class LiveFacts:
    """What `decide` is given beside a bundle. Immutable, for exactly one bundle.

    Past the sheet's expiry its numbers hold no longer and the released ones are back, but what was sold out stays so:
    an offer that cannot be delivered is worse than one that is missed. That depends on the sheet and on `now_ms`
    alone, so that a replay comes to the same.
    """

    __slots__ = ("_after", "_before", "beyond", "bundle", "expires_ms", "items", "sold_out", "version")

    def __init__(self, bundle: Bundle, sheet: FactSheet | None) -> None:
        """`sheet` None or halted: no facts, version 0."""
        self.bundle = bundle
        self._before = self._after = bundle
        self.version: int = NO_FACTS
        self.expires_ms: int | None = None
        self.sold_out: frozenset[ItemId] = frozenset()
        self.items = 0
        """Items of the bundle that these facts say anything of."""
        self.beyond = 0
        """Numbers that contents show, and that go farther than the site lets them: the released ones stay."""
        if sheet is None or sheet.halted:
            return
        self.version = sheet.version
        self.expires_ms = sheet.expires_ms
        self.sold_out = sheet.sold_out()
        live, self.beyond = live_columns(bundle, sheet)
        in_stock = sheet.in_stock()
        if self.sold_out:
            self._after = bundle.under({}, self.sold_out)
        self._before = bundle.under(live, self.sold_out, in_stock) if live or in_stock else self._after
        touched = np.zeros(len(bundle.items) + 1, np.bool_)
        touched[bundle.items.codes(list(self.sold_out))] = True
        for column in live.values():
            touched |= ~np.isnan(column)
        self.items = int(touched[:-1].sum())

    def at(self, now_ms: int) -> Bundle:
        """The bundle as these facts change it at a moment."""
        is_over = self.expires_ms is not None and now_ms >= self.expires_ms
        return self._after if is_over else self._before


def live_columns(bundle: Bundle, sheet: FactSheet) -> tuple[dict[str, Numbers], int]:
    """Declared names -> live numbers, bounded; shape (items + 1,), NaN where the released attribute stays.

    And how many of those that contents show lie beyond their bounds. Items that the catalogue does not know are passed
    over: they are another release's.
    """
    columns, beyond = {}, 0
    for name, fact in bundle.policy.site.live_facts.items():
        said = sheet.columns.get(name)
        if said:
            column, unbelieved = _column(bundle.items, name, said, fact)
            beyond += unbelieved
            if not np.isnan(column).all():
                columns[name] = column
    return columns, beyond


def _column(items: ItemTable, name: FactName, said: dict[ItemId, float], fact: LiveFact) -> tuple[Numbers, int]:
    codes = items.codes(list(said))
    is_taken = (codes >= 0) & items.may_be_number(name)[codes]
    codes = codes[is_taken]
    values = np.fromiter(said.values(), np.float64, len(said))[is_taken]
    within, beyond = bounded(values, items.numbers(name)[codes], fact), 0
    if fact.shown:
        # A limit does for a ranking, but is nobody's price: on a page the number that a person approved is better.
        # 89.90 less 30 % is 62.93 for people, and 62.930000000000007 for floats: who is at the limit is not beyond it.
        is_same = np.isclose(within, values, rtol=_ROUNDING, atol=0)
        beyond = int(np.count_nonzero(~is_same & ~np.isnan(within)))
        within = np.where(is_same, values, np.nan)
    column = np.full(len(items) + 1, np.nan)
    column[codes] = within
    return column, beyond


def bounded(live: Numbers, released: Numbers, fact: LiveFact) -> Numbers:
    """Live numbers within what the site allows; NaN where there is nothing to measure the change against.

    First within `most_change` of the released number, a share of its size, then within `min` and `max`: a stated
    limit holds even where the released number itself lies beyond it.
    """
    values = live
    if fact.most_change is not None:
        room = np.abs(released) * fact.most_change
        values = np.minimum(np.maximum(values, released - room), released + room)
    low = _NEGATIVE if fact.min is None else fact.min
    high = _POSITIVE if fact.max is None else fact.max
    return np.clip(values, low, high)


_ROUNDING: Final = 1e-12
_POSITIVE: Final = float("inf")
_NEGATIVE: Final = -_POSITIVE
