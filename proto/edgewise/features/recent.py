"""What a visitor touched last, by the values of the items: the newest taste, which day buckets cannot tell apart."""

from __future__ import annotations

import math

from edgewise.features.view import View


def recent_share(view: View, name: str, value: str, last: int) -> float:
    """Share of the last `last` touched items with a value of dimension `name` that have `value`; NaN where none is.

    Items that the catalogue does not know are passed over. Without a catalogue nothing is known.
    """
    items = view.items
    if items is None:
        return math.nan
    dimension, code_of = items.dimension(name), items.code_of
    wanted = dimension.value_code.get(value)
    known = having = 0
    for item in view.history():
        code = code_of.get(item)
        if code is None or not dimension.count[code] > 0:  # NaN without any
            continue
        known += 1
        having += wanted is not None and bool((dimension.codes[:, code] == wanted).any())
        if known == last:
            break
    return having / known if known else math.nan
