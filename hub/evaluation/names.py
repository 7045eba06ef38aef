"""What `--estimator` and `--interval` accept, and which estimators are made of the same parts."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class EstimatorName(StrEnum):
    """Estimators of a policy's value per row of the log; `estimators` and `slates` say how, and from where."""

    IPS = "ips"
    SNIPS = "snips"
    DM = "dm"
    DR = "dr"
    SNDR = "sndr"
    SWITCH_DR = "switch-dr"
    DROS = "dros"
    IIPS = "iips"
    RIPS = "rips"
    SIPS = "sips"


class IntervalName(StrEnum):
    """What `--interval` accepts."""

    BOOTSTRAP = "bootstrap"
    """Percentiles of resamples of units: short, and true of large logs."""
    BOOTSTRAP_T = "bootstrap-t"
    """Resamples measured in their own standard errors: longer to the side of heavy weights; helps IPS, SNIPS, SNDR."""
    BERNSTEIN = "bernstein"
    """True of every log whose rewards keep to the range that was seen: wide where weights are heavy."""


DEFAULT_ESTIMATORS: Final = (EstimatorName.IPS, EstimatorName.SNIPS)
MODELLED: Final = frozenset(
    {EstimatorName.DM, EstimatorName.DR, EstimatorName.SNDR, EstimatorName.SWITCH_DR, EstimatorName.DROS}
)
"""They need a reward model."""
SLATES: Final = frozenset({EstimatorName.IIPS, EstimatorName.RIPS, EstimatorName.SIPS})
"""They know which rows were shown together."""


def estimator_names(text: str) -> tuple[EstimatorName, ...]:
    """`ips,snips` as names, each once, in order. Raises ValueError for a word that names no estimator."""
    names: list[EstimatorName] = []
    for word in dict.fromkeys(part.strip().lower() for part in text.split(",")):
        if word not in set(EstimatorName):
            raise ValueError(f"no estimator {word!r}; there are: {', '.join(EstimatorName)}")
        names.append(EstimatorName(word))
    return tuple(names)
