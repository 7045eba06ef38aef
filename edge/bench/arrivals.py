"""When requests are sent, decided ahead: nothing that a server does can move an arrival."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta

CHUNK: Final = 1_024
"""Gaps drawn at once."""


class Arrivals(StrEnum):
    """How gaps between arrivals are distributed."""

    POISSON = "poisson"
    """As strangers come: each without regard to the others, so that some come together."""
    CONSTANT = "constant"
    """As a metronome: the kindest load of this rate."""


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the duration with a rate of its own."""

    share: Annotated[float, Meta(gt=0)]
    """Of the duration, relative to the other stages."""
    factor: Annotated[float, Meta(ge=0)] = 1.0
    """Of the rate that was asked for."""


STEADY: Final = (Stage(1.0),)


def unit_gaps(kind: Arrivals, draw: np.random.Generator) -> Iterator[float]:
    """Gaps of mean 1, for ever."""
    while kind is Arrivals.POISSON:
        yield from draw.exponential(1.0, CHUNK).tolist()
    while True:
        yield 1.0


def scheduled(
    kind: Arrivals,
    rate: float,
    duration_s: float,
    draw: np.random.Generator,
    stages: Sequence[Stage] = STEADY,
) -> Iterator[float]:
    """Offsets in seconds, ascending, in [0, duration_s): `rate` a second, times the factor of each stage.

    A process of mean one is stretched to the stages' rates, so that a burst begins and ends exactly where it is told.
    """
    whole = sum(stage.share for stage in stages)
    gaps = unit_gaps(kind, draw)
    # the first comes half a gap in: a schedule of exactly `rate * duration` arrivals, none on the border
    to_next = next(gaps) * (0.5 if kind is Arrivals.CONSTANT else 1.0)
    begins_s = 0.0
    for stage in stages:
        length_s, stage_rate = duration_s * stage.share / whole, rate * stage.factor
        left = length_s * stage_rate
        while to_next < left:
            yield begins_s + to_next / stage_rate
            to_next += next(gaps)
        to_next -= left
        begins_s += length_s


def replayed(moments_s: Sequence[float], speed: float, duration_s: float = math.inf) -> Iterator[float]:
    """The arrivals of a log, `speed` times as fast, from its first moment; in [0, duration_s)."""
    for moment_s in moments_s:
        offset_s = (moment_s - moments_s[0]) / speed
        if offset_s >= duration_s:
            return
        yield offset_s
