"""Line charts as SVG: no script, readable in light and dark, each with a sentence for those who do not see it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

WIDTH: Final = 720
HEIGHT: Final = 300
LEFT: Final = 62
RIGHT: Final = 12
TOP: Final = 12
BOTTOM: Final = 44
MAX_POINTS: Final = 600
"""More cannot be told apart on the width."""
_NINES: Final = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)


class Series(NamedTuple):
    """A named line."""

    name: str
    points: Sequence[tuple[float, float]]


class Axis(NamedTuple):
    """What a direction means: where its marks are, and how far it goes."""

    label: str
    marks: Sequence[tuple[float, str]]
    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """0..1 along the axis."""
        if self.is_log:
            value = max(value, self.low)
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def nines(share: float) -> float:
    """Where a percentile stands, so that each further nine gets as much room as the one before."""
    return -math.log10(max(1.0 - share, 1e-6))


def nines_axis(count: int) -> Axis:
    """Percentiles of `count` values: as many nines as they can show."""
    high = max(1.0, math.log10(max(count, 10)))
    shown = [share for share in _NINES if nines(share) <= high]
    return Axis("percentile", [(nines(share), f"{share * 100:.6g}") for share in shown], 0.0, high)


def log_axis(label: str, values: Sequence[float]) -> Axis:
    """Powers of ten around the values."""
    positive = [value for value in values if value > 0] or [1.0]
    low = math.floor(math.log10(min(positive)))
    high = max(math.ceil(math.log10(max(positive))), low + 1)
    return Axis(label, [(10.0**n, f"{10.0**n:g}") for n in range(low, high + 1)], 10.0**low, 10.0**high, is_log=True)


def linear_axis(label: str, high: float) -> Axis:
    """From 0 to a round number behind `high`, with four to ten marks."""
    high = high if high > 0 else 1.0
    step = 10.0 ** math.floor(math.log10(high))
    step = next(part * step for part in (0.1, 0.2, 0.5, 1.0, 2.0) if high / (part * step) <= 10)  # noqa: PLR2004
    count = math.ceil(round(high / step, 9))
    return Axis(label, [(n * step, f"{n * step:g}") for n in range(count + 1)], 0.0, count * step)


def chart(said: str, x: Axis, y: Axis, series: Sequence[Series]) -> str:
    """A drawing; `said` is what it shows, in words."""
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">']
    for value, text in x.marks:
        left = _left(x, value)
        parts += [
            f'<line class="grid" x1="{left}" x2="{left}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
            f'<text x="{left}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{escape(text)}</text>',
        ]
    for value, text in y.marks:
        top = _top(y, value)
        parts += [
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{top}" y2="{top}"/>',
            f'<text x="{LEFT - 6}" y="{top + 4}" text-anchor="end">{escape(text)}</text>',
        ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts += [
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x.label)}</text>',
        f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(y.label)}</text>',
    ]
    for number, line in enumerate(series):
        points = _thinned(line.points)
        drawn = " ".join(f"{_left(x, across)},{_top(y, up)}" for across, up in points)
        parts.append(f'<polyline class="line{number}" points="{drawn}"/>')
        if len(points) == 1:
            across, up = points[0]
            parts.append(f'<circle class="line{number}" cx="{_left(x, across)}" cy="{_top(y, up)}" r="3"/>')
        top = TOP + 16 + 18 * number
        parts += [
            f'<line class="line{number}" x1="{LEFT + 10}" x2="{LEFT + 34}" y1="{top - 4}" y2="{top - 4}"/>',
            f'<text x="{LEFT + 40}" y="{top}">{escape(line.name)}</text>',
        ]
    return "".join([*parts, "</svg>"])


def _left(x: Axis, value: float) -> float:
    return round(LEFT + min(max(x.place(value), 0.0), 1.0) * (WIDTH - LEFT - RIGHT), 1)


def _top(y: Axis, value: float) -> float:
    return round(HEIGHT - BOTTOM - min(max(y.place(value), 0.0), 1.0) * (HEIGHT - BOTTOM - TOP), 1)


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """Every n-th point, and the last."""
    every = len(points) // MAX_POINTS + 1
    return [*points[:-1:every], *points[-1:]]
