"""`p99>10ms`: what must not happen. A bench that sees it ends with exit code 1."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from edgewise.errors import InputError, Problem

LATENCIES: Final = frozenset({"mean", "max"})
"""Beside every `pN`."""
SHARES: Final = frozenset({"errors", "fallback"})
RATES: Final = frozenset({"throughput", "goodput", "knee"})

_SHAPE: Final = re.compile(
    r"\s*(?P<metric>[a-z]+[0-9.]*)\s*(?P<compare>>=|<=|>|<)\s*(?P<value>\d+(?:\.\d+)?)\s*(?P<unit>[a-z%/µ]*)\s*"
)
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_MS: Final[Mapping[str, float]] = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_SHARE: Final[Mapping[str, float]] = {"%": 0.01, "": 1.0}
_RATE: Final[Mapping[str, float]] = {"/s": 1.0, "/min": 1 / 60}


class Threshold(msgspec.Struct, frozen=True):
    """A condition under which the bench fails."""

    text: str
    metric: str
    """`p99`, `mean`, `max` in ms; `errors`, `fallback` as shares; `throughput`, `goodput`, `knee` a second."""
    compare: str
    value: float
    """In the metric's unit."""

    def judge(self, measured: float) -> Judged:
        """Whether it is crossed. What could not be measured, because nothing was answered, is crossed as well."""
        is_crossed = math.isnan(measured) or _COMPARE[self.compare](measured, self.value)
        return Judged(self.text, None if math.isnan(measured) else measured, is_crossed)

    @property
    def quantile(self) -> float | None:
        """The share that a `pN` asks for, in (0, 1]."""
        return float(self.metric[1:]) / 100 if _is_percentile(self.metric) else None


class Judged(msgspec.Struct, frozen=True):
    """One threshold, and what was measured."""

    condition: str
    measured: float | None
    """In ms, as a share, or a second; None when nothing could be measured."""
    crossed: bool


def parse_threshold(text: str) -> Threshold:
    """Read a condition.

    Raises:
        InputError: of the option --fail-if, with what was expected.
    """
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise _wrong(text, "expected METRIC, one of > >= < <=, and a value, such as p99>10ms, errors>1%")
    metric, unit = found["metric"], found["unit"]
    if _is_percentile(metric) or metric in LATENCIES:
        units = _MS
    elif metric in SHARES:
        units = _SHARE
    elif metric in RATES:
        units = _RATE
    else:
        known = "p50, p99, p99.9 and the like, " + ", ".join(sorted(LATENCIES | SHARES | RATES))
        raise _wrong(text, f"there is no {metric!r}; expected {known}")
    if unit not in units:
        given = f"the unit {unit!r}" if unit else "no unit"
        raise _wrong(text, f"{given} for {metric}; expected one of {', '.join(u or '(none)' for u in units)}")
    return Threshold(text.strip(), metric, found["compare"], float(found["value"]) * units[unit])


def _is_percentile(metric: str) -> bool:
    try:
        return metric[0] == "p" and 0 < float(metric[1:]) <= 100  # noqa: PLR2004  # per cent
    except ValueError:
        return False


def _wrong(text: str, what: str) -> InputError:
    return InputError(f"--fail-if {text!r}: {what}", (Problem("--fail-if", what),))
