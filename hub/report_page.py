"""A report as one HTML page that can be sent around: tables and plots, no script, nothing to load.

Plots are SVG, readable in light and dark; each has a sentence for those who do not see it. Numbers that a plot shows
belong into a table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1d2330;--paper:#fff;--faint:#d5d9e2;
--a:#1f4e8c;--b:#a3480f;--c:#2a7d4f;--d:#7a3b8f}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ef;--paper:#14171d;--faint:#333a48;--a:#7fb0e6;--b:#f0a35e;
--c:#6cc795;--d:#cf9ae0}}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:var(--ink);
background:var(--paper)}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--faint);text-align:right;
font-variant-numeric:tabular-nums}td:first-child,th:first-child{text-align:left}.wide{overflow-x:auto}
svg{width:100%;max-width:46rem;height:auto}text{font:12px system-ui,sans-serif;fill:var(--ink)}
.grid{stroke:var(--faint)}.ideal{stroke:var(--faint);stroke-dasharray:4 4}polyline{fill:none;stroke-width:2}
.k0{stroke:var(--a);fill:var(--a)}.k1{stroke:var(--b);fill:var(--b)}.k2{stroke:var(--c);fill:var(--c)}
.k3{stroke:var(--d);fill:var(--d)}polyline.k0,polyline.k1,polyline.k2,polyline.k3{fill:none}.bar{stroke:none}
.whisker{stroke:var(--ink);stroke-width:1.5}.warning{color:var(--b)}
"""
_WIDTH: Final = 720
_HEIGHT: Final = 320
_LEFT: Final = 64
_RIGHT: Final = 16
_TOP: Final = 14
_BOTTOM: Final = 46
_LABEL: Final = 220
_ROW: Final = 24
_COLOURS: Final = 4
_MARKS: Final = 10
_LEAST_SPAN: Final = 1e-9
"""What is closer together than this is drawn as one."""


class Line(NamedTuple):
    """Points (x, y) that are joined in their order."""

    name: str
    points: Sequence[tuple[float, float]]


class Bar(NamedTuple):
    """A value with its interval; NaN for an end that is not known."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan


def page(title: str, *parts: str) -> str:
    """HTML 5 around parts that are HTML already; to be encoded as UTF-8."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>"
        f"{''.join(parts)}</main></body></html>\n"
    )


def heading(text: str) -> str:
    """Of a part of the page."""
    return f"<h2>{escape(text)}</h2>"


def sentence(text: str, *, is_warning: bool = False) -> str:
    """A paragraph of plain text."""
    return f"<p{' class=warning' if is_warning else ''}>{escape(text)}</p>"


def sentences(texts: Sequence[str]) -> str:
    """A list of plain texts; nothing where there is none."""
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>" if texts else ""


def in_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column holds names, the others numbers."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def bars(said: str, values: Sequence[Bar]) -> str:
    """Bars that lie, one a row, from 0 to the largest end of an interval; what is not finite stays empty.

    `said` is what the plot shows, in words.
    """
    ends = [end for bar in values for end in (bar.value, bar.low, bar.high) if math.isfinite(end)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    scale = (_WIDTH - _LABEL - 80) / (high - low if high - low > _LEAST_SPAN else 1.0)
    zero = _LABEL - low * scale
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_ROW * max(1, len(values))}" role="img" aria-label="{escape(said)}">']
    for number, bar in enumerate(values):
        top = number * _ROW
        parts.append(f'<text x="0" y="{top + 16}">{escape(bar.name)}</text>')
        if not math.isfinite(bar.value):
            continue
        start, width = zero + min(0.0, bar.value) * scale, abs(bar.value) * scale
        parts.append(f'<rect class="bar k0" x="{start:.1f}" y="{top + 4}" width="{width:.1f}" height="15"/>')
        last = zero + max(0.0, bar.value) * scale
        if math.isfinite(bar.low) and math.isfinite(bar.high):
            left, right = zero + bar.low * scale, zero + bar.high * scale
            parts.append(f'<line class="whisker" x1="{left:.1f}" x2="{right:.1f}" y1="{top + 11}" y2="{top + 11}"/>')
            last = max(last, right)
        parts.append(f'<text x="{last + 6:.1f}" y="{top + 16}">{bar.value:.4g}</text>')
    return "".join([*parts, "</svg>"])


def lines(said: str, x_label: str, y_label: str, drawn: Sequence[Line], *, diagonal: bool = False) -> str:
    """Lines over linear axes that begin at 0 or below; `diagonal` also draws y = x, where a calibrated score lies.

    `said` is what the plot shows, in words. Points that are not finite are left out.
    """
    kept = [Line(line.name, [point for point in line.points if all(map(math.isfinite, point))]) for line in drawn]
    x_marks = _marks([x for line in kept for x, _ in line.points])
    y_marks = _marks([y for line in kept for _, y in line.points])
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(said)}">']
    for mark in x_marks:
        left = _left(x_marks, mark)
        parts.append(f'<line class="grid" x1="{left}" x2="{left}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
        parts.append(f'<text x="{left}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{mark:g}</text>')
    for mark in y_marks:
        top = _top(y_marks, mark)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{top}" y2="{top}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{top + 4}" text-anchor="end">{mark:g}</text>')
    if diagonal:
        low, high = max(x_marks[0], y_marks[0]), min(x_marks[-1], y_marks[-1])
        ends = [f"{_left(x_marks, at)},{_top(y_marks, at)}" for at in (low, high)]
        parts.append(f'<polyline class="ideal" points="{" ".join(ends)}"/>')
    for number, line in enumerate(kept):
        colour = f"k{number % _COLOURS}"
        points = " ".join(f"{_left(x_marks, x)},{_top(y_marks, y)}" for x, y in line.points)
        parts.append(f'<polyline class="{colour}" points="{points}"/>')
        parts += [
            f'<circle class="{colour}" cx="{_left(x_marks, x)}" cy="{_top(y_marks, y)}" r="2.5"/>'
            for x, y in (line.points if len(line.points) <= _WIDTH // _ROW else ())
        ]
        top = _TOP + 16 + 18 * number
        parts.append(f'<circle class="{colour}" cx="{_LEFT + 16}" cy="{top - 4}" r="4"/>')
        parts.append(f'<text x="{_LEFT + 26}" y="{top}">{escape(line.name)}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>')
    turned = f"translate(14 {_HEIGHT / 2}) rotate(-90)"
    parts.append(f'<text transform="{turned}" text-anchor="middle">{escape(y_label)}</text>')
    return "".join([*parts, "</svg>"])


def _marks(values: Sequence[float]) -> list[float]:
    """Round numbers around the values and 0, at least two."""
    low, high = min([0.0, *values]), max([0.0, *values])
    span = high - low if high - low > _LEAST_SPAN else 1.0
    step = 10.0 ** math.floor(math.log10(span))
    step = next(part * step for part in (0.1, 0.2, 0.5, 1.0, 2.0) if span / (part * step) <= _MARKS)
    first, last = math.floor(round(low / step, 9)), math.ceil(round(high / step, 9))
    return [round(number * step, 12) for number in range(first, max(last, first + 1) + 1)]


def _left(marks: Sequence[float], value: float) -> float:
    return round(_LEFT + (value - marks[0]) / (marks[-1] - marks[0]) * (_WIDTH - _LEFT - _RIGHT), 1)


def _top(marks: Sequence[float], value: float) -> float:
    return round(_HEIGHT - _BOTTOM - (value - marks[0]) / (marks[-1] - marks[0]) * (_HEIGHT - _BOTTOM - _TOP), 1)
