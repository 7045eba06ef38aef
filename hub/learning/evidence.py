"""What is known of a challenger when it is judged. Plain figures, as they are written down with the turn.

Whoever gathers them may leave out what nobody can know; `hub.learning.gate` holds what is missing against the
challenger where it would have to speak for it.
"""

from __future__ import annotations

import msgspec


class Interval(msgspec.Struct, frozen=True):
    """An estimate between a low and a high end; NaN where there is none."""

    estimate: float
    low: float
    high: float


class ParityEvidence(msgspec.Struct, frozen=True):
    """How the edge's scorer compares with what was trained."""

    rows: int
    mismatches: int
    max_scaled_error: float
    finite: float = 1.0
    """Share of scores that are numbers."""


class DataEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What it learned from, and what it is judged on."""

    new: int
    """Settled decisions (or outcomes, for a model that learns from the history) since the turn before."""
    trained_ms: int
    newest_ms: int
    """When the newest of what it learned from happened."""
    waiting: float = 0.0
    """Share of the judged decisions whose outcomes may still come."""
    dropped: float = 0.0
    """Share of the placement's decisions that made no row: damaged, other columns, propensities that are none."""
    learned: float = 0.0
    """Share of the judged decisions that the model that is judged has learned from."""
    skewed: tuple[str, ...] = ()
    """Columns that nodes serve otherwise than training computes them."""


class HeldOut(msgspec.Struct, frozen=True):
    """The trainer's own word, on outcomes that came after all that it learned from."""

    measure: str
    """As in `hit_rate@10`."""
    choices: int
    above_rule: Interval | None = None
    above_champion: Interval | None = None
    learned: float | None = None
    """The same measure on what it learned from, where somebody has computed it."""
    value: float | None = None


class SegmentEvidence(msgspec.Struct, frozen=True):
    """The lift among some of the visitors."""

    name: str
    """As in `device.type=mobile`."""
    share: float
    """Of the rows."""
    lift: Interval


class GuardrailEvidence(msgspec.Struct, frozen=True):
    """What must not get worse: the change of its mean by the champion's, above 0 where it gets better."""

    name: str
    relative: Interval
    tolerated: float
    """How far below 0 the change may be."""


class OffPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What the log says that challenger and champion would have earned, as rewards per row of it."""

    champion: float
    challenger: float
    lift: Interval
    """Challenger less champion, on the same rows. Each end is missed with probability `alpha` at most."""
    alpha: float
    halves: tuple[Interval, ...] = ()
    """The lift in the earlier and in the later half of the time."""
    rows: int
    units: int
    unit_name: str
    ess: float
    max_weight: float
    share_of_largest: float
    largest_reward_share: float
    """The part of all reward that comes of one unit."""
    unsupported: float
    rewarded_ess: float
    mean_weights: dict[str, Interval]
    """`challenger` and `champion`: the mean weight, which is 1 where propensities are right, 4 standard errors to
    either side."""
    refused: tuple[str, ...] = ()
    """Why nothing can be said at all (`hub.evaluation.verdict`)."""
    warnings: tuple[str, ...] = ()
    explores: float
    """Mean probability of showing something else than its own best."""
    champion_explores: float
    choices: float
    """Effective number of different items that it would put first: exp of the entropy. Where the champion is the log
    itself, of those that both show first, exploration included: like is compared with like."""
    champion_choices: float
    undecided: float = 0.0
    """Share of situations in which it does not tell any candidates apart."""
    segments: tuple[SegmentEvidence, ...] = ()
    guardrails: tuple[GuardrailEvidence, ...] = ()


class GateEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, at the moment of judging."""

    challenger: str
    """MODEL@VERSION."""
    champion: str
    """MODEL@VERSION, or the arm's rule."""
    now_ms: int
    looks: int
    """How many challengers, this one included, were judged against this champion."""
    is_refresh: bool
    """The champion, trained by the same recipe on the same columns, with newer data."""
    parity: ParityEvidence | None
    data: DataEvidence
    held_out: HeldOut | None = None
    off_policy: OffPolicy | None = None
    no_off_policy: str = ""
    """Why there is none."""
    flags: tuple[str, ...] = ()
    """What staff found wrong, and it would show again."""
