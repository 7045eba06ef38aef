"""Experiments whose truth is known: arms with a planted lift, and a covariate from before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub.statistics.summary import Floats, Summary

PAST: Final = 5.0
"""Mean of the covariate."""


class Arm(NamedTuple):
    """Units of an arm, each (n,)."""

    converted: Floats
    spend: Floats
    orders: Floats
    before: Floats

    @property
    def spend_summary(self) -> Summary:
        return Summary.of(self.spend)


def arm(rng: np.random.Generator, n: int, *, lift: float = 0.0, rho: float = 0.0) -> Arm:
    """Normal spend of mean 10 and standard deviation 4, correlated by `rho` with what was before; 1 in 10 converts."""
    before = rng.normal(PAST, 2.0, n)
    spend = 10.0 * (1 + lift) + 4.0 * (rho * (before - PAST) / 2.0 + np.sqrt(1 - rho**2) * rng.standard_normal(n))
    converted = (rng.random(n) < 0.1 * (1 + lift)).astype(np.float64)
    return Arm(converted, spend, 1.0 + rng.poisson(2.0, n).astype(np.float64), before)


def for_oracle(columns: Mapping[str, NDArray[Any]]) -> Any:
    """An Arrow table of these columns for tea-tasting, which has Arrow sum it up: on one thread.

    On several, beside other work, Arrow 26 came to other sums one time in ten: lifts differed by up to 1e-5 from one
    run to the next, of the same table.
    """
    import pyarrow as pa

    pa.set_cpu_count(1)
    return pa.table(dict(columns))


def written(path: Path, arms: dict[str, Arm]) -> Path:
    """As a CSV with a row a unit."""
    lines = ["visitor,variant,converted,spend,orders,before"]
    for name, of in arms.items():
        lines += [
            f"{name}-{number},{name},{int(converted)},{spend!r},{int(orders)},{before!r}"
            for number, (converted, spend, orders, before) in enumerate(zip(*map(_list, of), strict=True))
        ]
    path.write_text("\n".join(lines) + "\n")
    return path


def _list(values: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in values]
