"""Ship, wait or stop, in a sentence: what an experiment comes to for one variant.

Only the declared business outcome decides, and guardrails may forbid. Whatever cannot be read says wait.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from hub.statistics.compare import LEVEL, Comparison


class Word(StrEnum):
    """What to do."""

    SHIP = "ship"
    WAIT = "wait"
    STOP = "stop"


class Verdict(msgspec.Struct, frozen=True):
    """The word and why."""

    word: Word
    sentence: str


class Held(StrEnum):
    """How a guardrail stands."""

    HELD = "held"
    """The whole interval is better than what is tolerated (non-inferiority)."""
    UNCLEAR = "unclear"
    BREACHED = "breached"
    """The whole interval is worse."""


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """A metric that must not get worse than so much."""

    name: str
    state: Held
    tolerated: float
    """Worst relative change: .02 is 2 % worse."""
    sentence: str


TOLERATED: Final = 0.02
"""Where nobody says what a guardrail tolerates."""


def guardrail(
    name: str, found: Comparison, *, tolerated: float = TOLERATED, higher_is_better: bool = True
) -> Guardrail:
    """Non-inferiority by the interval of the relative lift: a guardrail that does not alarm is not yet held.

    Where nothing is tolerated (0), that would ask for an improvement; then it holds until it is seen to be worse. It is
    breached where the absolute interval says worse, too. A control without any of it has no relative lift: then the
    absolute interval alone speaks, and nothing of it in either arm is held.
    """
    low, high = _relative_good(found, higher_is_better=higher_is_better)
    _, absolute_high = _turned(found.absolute_low, found.absolute_high, higher_is_better=higher_is_better)
    seen = f"{name} {_percent(found.relative_lift)} ({_interval(found)})"
    if math.isnan(low):
        state, said = _without_share(name, found, higher_is_better=higher_is_better)
    elif high < -tolerated and absolute_high < 0:
        state, said = Held.BREACHED, f"{seen}, worse than the {_share(tolerated)} that are tolerated"
    elif low >= -tolerated or not tolerated:
        state, said = Held.HELD, f"{seen}, held"
    else:
        state, said = Held.UNCLEAR, f"{seen} may still be worse than the {_share(tolerated)} that are tolerated"
    return Guardrail(name=name, state=state, tolerated=tolerated, sentence=said)


def _without_share(name: str, found: Comparison, *, higher_is_better: bool) -> tuple[Held, str]:
    """How a guardrail stands where there is no share of the control to speak of."""
    low, high = _turned(found.absolute_low, found.absolute_high, higher_is_better=higher_is_better)
    seen = f"{name} {found.absolute_lift:+.4g} ({found.absolute_low:+.4g} to {found.absolute_high:+.4g})"
    if found.control_adjusted == 0 and found.variant_adjusted == 0:
        return Held.HELD, f"{name}: none in either arm"
    if math.isnan(low):
        return Held.UNCLEAR, f"{name} has no interval yet"
    if high < 0:
        return Held.BREACHED, f"{seen}, worse than a control without any"
    if low >= 0:
        return Held.HELD, f"{seen}, held"
    return Held.UNCLEAR, f"{seen} may still be worse"


def verdict(
    found: Comparison,
    *,
    metric: str,
    variant: str,
    control: str = "control",
    higher_is_better: bool = True,
    p_value: float | None = None,
    alpha: float = LEVEL,
    least_lift: float = 0.0,
    blocked: Sequence[str] = (),
    guardrails: Sequence[Guardrail] = (),
) -> Verdict:
    """Judge a variant by the outcome `metric`.

    `p_value` replaces the comparison's own where several were corrected for; `least_lift` >= 0 is the smallest
    relative lift that is worth its cost; each of `blocked` is a reason why nothing may be concluded (sample ratio,
    clicks alone). Ship needs the whole interval on the good side and every guardrail held; stop needs it on the bad
    side, a guardrail breached, or a lift that cannot reach `least_lift` any more.
    """
    word, sentence = Word.WAIT, ""
    if blocked:
        sentence = "; ".join(blocked)
    elif not found.is_known:
        sentence = f"{metric} of {variant} against {control} cannot be told yet: {_why(found)}"
    elif breached := [of.sentence for of in guardrails if of.state is Held.BREACHED]:
        word, sentence = Word.STOP, "; ".join(breached)
    else:
        p_value = found.p_value if p_value is None else p_value
        # a Bayesian comparison has no p-value: its interval alone speaks
        clear = math.isnan(p_value) or p_value < alpha
        low, high = _good(found, higher_is_better=higher_is_better)
        seen = _seen(found, metric, variant, control, p_value)
        unclear = [of.sentence for of in guardrails if of.state is Held.UNCLEAR]
        if clear and high < 0:
            word, sentence = Word.STOP, f"{seen}, which is worse"
        elif least_lift > 0 and _reachable(found, higher_is_better=higher_is_better) < least_lift:
            word, sentence = Word.STOP, f"{seen}, which cannot reach {_percent(least_lift)} any more"
        elif not (clear and low > 0):
            sentence = f"{seen}, which may still be chance"
        elif unclear:
            sentence = f"{seen}, but {'; '.join(unclear)}"
        else:
            word, sentence = Word.SHIP, f"{seen}, which is better"
    return Verdict(word, f"{word.value.capitalize()}: {sentence}.")


def _good(found: Comparison, *, higher_is_better: bool) -> tuple[float, float]:
    """The innermost ends over both intervals, turned so that more is better: both must say the same."""
    lows, highs = [found.absolute_low], [found.absolute_high]
    if not math.isnan(found.ci_low):
        low, high = _relative_good(found, higher_is_better=True)
        lows.append(low)
        highs.append(high)
    return _turned(min(lows), max(highs), higher_is_better=higher_is_better)


def _turned(low: float, high: float, *, higher_is_better: bool) -> tuple[float, float]:
    """An interval, turned so that more is better."""
    return (low, high) if higher_is_better else (-high, -low)


def _relative_good(found: Comparison, *, higher_is_better: bool) -> tuple[float, float]:
    """The interval of the relative lift, turned so that more is better; NaN where there is none.

    A control below 0 turns a rise into a negative share of it.
    """
    is_turned = (found.control_adjusted < 0) == higher_is_better
    return (-found.ci_high, -found.ci_low) if is_turned else (found.ci_low, found.ci_high)


def _reachable(found: Comparison, *, higher_is_better: bool) -> float:
    """The best relative lift that the interval allows; without an interval anything."""
    _, high = _relative_good(found, higher_is_better=higher_is_better)
    return math.inf if math.isnan(high) else high


def _seen(found: Comparison, metric: str, variant: str, control: str, p_value: float) -> str:
    sure = f"p = {p_value:.3g}" if not math.isnan(p_value) else f"chance to be higher {found.chance_to_win:.1%}"
    if math.isnan(found.relative_lift):
        lift, interval = f"{found.absolute_lift:+.4g}", f"{found.absolute_low:+.4g} to {found.absolute_high:+.4g}"
        return f"{metric} of {variant} is {lift} against {control} ({1 - found.alpha:.0%} {interval}, {sure})"
    lift = _percent(found.relative_lift)
    return f"{metric} of {variant} is {lift} against {control} ({_interval(found)}, {sure})"


def _interval(found: Comparison) -> str:
    return f"{1 - found.alpha:.0%} {_percent(found.ci_low)} to {_percent(found.ci_high)}"


def _percent(share: float) -> str:
    return "unknown" if math.isnan(share) else f"{share:+.2%}"


def _share(tolerated: float) -> str:
    return f"{tolerated * 100:.3g}%"


def _why(found: Comparison) -> str:
    if math.isnan(found.absolute_lift):
        return "an arm has no units, or nothing to divide by"
    return "an arm has fewer than two units, or nothing varies"
