"""When a distance is larger than ever before: thresholds from a site's own past, not from a table. Pure.

If nothing has changed, the latest stretch is one like the others, and each of the W + 1 is equally likely to be the
farthest (conformal prediction: Vovk, Gammerman, Shafer 2005, Algorithmic Learning in a Random World). An alarm is
raised when the latest is the farthest: that happens by chance once in W + 1 times, whatever the distribution and
however many columns are looked at, because the columns are brought to one scale, the second largest distance of each,
and only the largest of them counts.
What it takes for granted is that stretches are alike in kind: a shop whose Sundays differ should watch weeks, or
enough days that Sundays are among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from hub.monitor.windows import NOW, Floats

LEAST_PAST: Final = 10
"""Stretches in the past; of fewer an alarm would be false too often."""
LEAST_SCALE: Final = 0.5
"""Half of what chance brings: a column that hardly ever moves is not made to shout."""


class Judged(NamedTuple):
    """What became of one family of distances."""

    thresholds: Floats
    """(columns,) What the latest stretch has to exceed in a column; infinite while there is too little past."""
    is_alarm: bool
    """Some column does."""
    false_alarm_rate: float
    """How often that happens by chance; NaN while there is too little past."""
    past: int
    """Stretches in the past that were compared with."""


def judge(distances: Floats, *, present: Sequence[bool]) -> Judged:
    """Judge the latest stretch; `distances` (stretches, columns), the latest first, at least 0.

    `present` says which stretches hold enough to be compared; the others take no part.
    """
    columns = distances.shape[1]
    kept = distances[np.asarray(present, dtype=np.bool_)]
    past = len(kept) - 1
    if not present[NOW] or past < LEAST_PAST or not columns:
        return Judged(np.full(columns, np.inf), is_alarm=False, false_alarm_rate=float("nan"), past=max(past, 0))
    # by the median a column with a heavy tail would set everybody's threshold: a doubled price was found on 13 days of
    # 100, and is on 63 so
    scale = np.maximum(np.sort(kept, axis=0)[-2], LEAST_SCALE)
    farthest = float((kept[1:] / scale).max())
    thresholds = farthest * scale
    return Judged(thresholds, bool((kept[0] > thresholds).any()), 1 / (past + 1), past)
