"""Rows of a log that say nothing: left out before anything is estimated, counted, and named in the warnings."""

from __future__ import annotations

import numpy as np

from edgewise.errors import InputError
from hub.evaluation.logged import Integers, LoggedDecisions
from hub.imports.cells import Mask


def usable(log: LoggedDecisions) -> tuple[Integers, list[str]]:
    """(the places of the rows that can be evaluated, what is wrong with the others: one sentence for each fault).

    An import lets none of those through; a log that came another way may hold them. Raises InputError when no row is
    left.
    """
    faults: list[tuple[Mask, str]] = [
        (~(log.propensity > 0), "without a propensity above 0"),
        (log.propensity > 1, "with a propensity above 1"),
        (~np.isfinite(log.reward), "without a finite reward"),
    ]
    if log.sample_weight is not None:
        weighs = np.isfinite(log.sample_weight) & (log.sample_weight > 0)
        faults.append((~weighs, "without a sample weight above 0"))
    said = [f"{np.count_nonzero(bad):,} rows {what} are left out" for bad, what in faults if bad.any()]
    bad = np.logical_or.reduce([bad for bad, _ in faults])
    if bad.all():
        raise InputError(f"{log.name}: no row can be evaluated: {'; '.join(said)}")
    return np.flatnonzero(~bad), said
