"""Rates with a prior, from counts by day: of a visitor, of an item, of the whole site.

A plain quotient of few says 0 or 1 of nearly everybody. (successes + a) / (trials + b) begins at a / b, what is known
of all, and moves away as trials come in: the mean of a Beta(a, b - a) prior updated by them (Gelman et al., "Bayesian
Data Analysis", 2.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from edgewise.events import Kind
from edgewise.profile.buckets import Buckets, total_since
from edgewise.profile.state import DAY_MS


class Rate(NamedTuple):
    """What is asked for: times of `successes` for each of `trials`, and what is believed before anything is counted."""

    successes: Kind
    trials: Kind
    days: int
    """Calendar days (UTC), today included."""
    prior_successes: float = 0.0
    prior_trials: float = 0.0


EMAIL_RESPONSE: Final = Rate(Kind.EMAIL_OPENED, Kind.EMAIL_DELIVERED, 180, 1.0, 5.0)
"""How readily somebody opens what is sent to him; one in five of those of whom nothing is known."""


def rate_of(counts: Mapping[Kind, Buckets], asked: Rate, now_ms: int) -> float:
    """The rate at `now_ms`.

    Nothing makes a success wait for its trial, so that it may lie above 1. NaN where nothing was tried and the prior
    is empty.
    """
    today = now_ms // DAY_MS
    tried = total_since(counts.get(asked.trials, []), today, asked.days) + asked.prior_trials
    succeeded = total_since(counts.get(asked.successes, []), today, asked.days) + asked.prior_successes
    return succeeded / tried if tried > 0 else float("nan")
