"""Shops whose customers buy, leave and spend exactly as BG/NBD and Gamma-Gamma say."""

from __future__ import annotations

import numpy as np

from hub.lifetime.history import Floats, Purchases
from hub.lifetime.purchases import by_day

FIRST_DAY = 15_000


def shop(
    seed: int, customers: int, *, r: float, alpha: float, a: float, b: float, days: int, p: float = 4.0, q: float = 3.0
) -> Purchases:
    """Purchases of customers who come in the first third of `days`; `alpha` in days, a mean spend of about 40."""
    rng = np.random.default_rng(seed)
    names: list[str] = []
    day: list[float] = []
    value: list[float] = []
    for number in range(customers):
        rate = rng.gamma(r, 1 / alpha)
        leaving = rng.beta(a, b)
        scale = 1 / rng.gamma(q, 1 / 20.0)  # v = 20
        at, bought = float(rng.integers(days // 3)), 0
        while at < days:
            names.append(f"c{number:05d}")
            day.append(FIRST_DAY + at)
            value.append(rng.gamma(p) * scale)
            bought += 1
            # the first purchase only starts the clock: nobody leaves after it
            if bought > 1 and rng.random() < leaving:
                break
            at += rng.exponential(1 / rate)
    return by_day(np.array(names, dtype=object), np.floor(day).astype(np.int64), np.array(value))[0]


def written(purchases: Purchases) -> str:
    """As CSV with the columns customer, day (ISO), spent."""
    days = purchases.day.astype("datetime64[D]")
    rows = zip(purchases.customer, days, purchases.value, strict=True)
    return "customer,day,spent\n" + "".join(f"{purchases.names[who]},{day},{spent:.4f}\n" for who, day, spent in rows)


def histories(rng: np.random.Generator, count: int) -> tuple[Floats, Floats, Floats]:
    """x, t_x and T of invented customers, some without a repeat."""
    x = rng.poisson(1.5, count).astype(np.float64)
    age = rng.uniform(1, 80, count)
    recency = np.where(x > 0, rng.uniform(0, 1, count) * age, 0.0)
    return x, recency, age
