"""The report: one HTML page that needs nothing else, neither script nor network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from edge.bench.curve import Series, chart, linear_axis, log_axis, nines, nines_axis
from edge.bench.histogram import Histogram
from edge.bench.session import Outcome
from edge.bench.threshold import Judged
from edge.bench.words import COLUMNS, figures_in_words, heading, in_words, knee_in_words, latencies_in_rows, where

STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1b1f;--paper:#fff;--faint:#d9d9de;--a:#0b5cad;--b:#b34700;--c:#5c5c66}
@media (prefers-color-scheme:dark){:root{
--ink:#ececf1;--paper:#17171a;--faint:#3a3a41;--a:#7db8f5;--b:#f0a35e;--c:#a9a9b3}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:760px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .5rem;text-align:right;border-bottom:1px solid var(--faint)}
th:first-child,td:first-child{text-align:left}td{font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}svg{width:100%;height:auto}svg text{font-size:12px;fill:var(--ink)}.grid{stroke:var(--faint)}
polyline,line{fill:none;stroke-width:2}.grid{stroke-width:1}.line0{stroke:var(--a)}
.line1{stroke:var(--b);stroke-dasharray:6 3}.line2{stroke:var(--c);stroke-dasharray:2 3}
.crossed{font-weight:bold}small{color:var(--c);white-space:pre-line}
"""
"""Of a page with tables and plots, in light and in dark."""
_METHOD: Final = "Open loop: arrivals do not wait for answers, and a latency counts from when its request was due."
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""For the page itself: whatever stands in it, nothing is run or fetched."""


def page(outcome: Outcome, judged: Sequence[Judged]) -> str:
    """The whole page."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(outcome.order.url)} under load</title><style>{STYLE}</style></head><body><main>",
        f"<h1>{escape(outcome.order.url)} under load</h1><p>{escape(heading(outcome))}</p>",
        _list("", [f"note: {warning}" for warning in outcome.warnings]),
        _thresholds(judged),
        "<h2>Latency</h2>",
        _table(["ms", *COLUMNS], latencies_in_rows(outcome)),
        _latency_curve(outcome),
        "<h2>Over time</h2>" + _course(outcome),
        _knee(outcome),
        _list("Counts", figures_in_words(outcome)),
        f"<h2>Measured on</h2><p><small>{escape(where(outcome))}</small></p>",
        f"<p><small>{_METHOD}</small></p></main></body></html>",
    ]
    return "".join(parts) + "\n"


def _latency_curve(outcome: Outcome) -> str:
    tally = outcome.measured.tally
    lines = [
        Series("from when due", _points(tally.latency)),
        Series("from when sent", _points(tally.service)),
        Series("inside the node", _points(tally.node)),
    ]
    lines = [line for line in lines if line.points]
    if not lines:
        return "<p>Nothing was answered.</p>"
    y = log_axis("ms", [value for line in lines for _, value in line.points])
    return chart("Latency in milliseconds by percentile", nines_axis(tally.latency.count), y, lines)


def _points(histogram: Histogram) -> list[tuple[float, float]]:
    """A bucket's value is reached where the ones below it end."""
    points, below = [], 0.0
    for point in histogram.curve():
        points.append((nines(below), max(point.value_us, 1) / 1_000))
        below = point.share
    return points


def _course(outcome: Outcome) -> str:
    seconds = outcome.measured.tally.seconds()
    p99 = [(second.at_s + 0.5, second.p99_ms) for second in seconds if second.p99_ms is not None]
    p50 = [(second.at_s + 0.5, second.p50_ms) for second in seconds if second.p50_ms is not None]
    if not p99:
        return "<p>Nothing was answered.</p>"
    x, y = linear_axis("seconds", outcome.measured_s), log_axis("ms", [value for _, value in [*p50, *p99]])
    return chart("Latency over time, by second", x, y, [Series("p99 of each second", p99), Series("p50", p50)])


def _knee(outcome: Outcome) -> str:
    if outcome.knee is None:
        return ""
    last_of_rate = {step.rate: step for step in outcome.steps}  # one that broke was tried again
    steps = [last_of_rate[rate] for rate in sorted(last_of_rate)]
    p99 = [(step.rate, step.p99_ms) for step in steps if not math.isnan(step.p99_ms)]
    goodput = [(step.rate, step.goodput) for step in steps]
    x = linear_axis("requests a second, asked for", steps[-1].rate)
    drawn = ""
    if p99:
        y = log_axis("p99, ms", [value for _, value in p99])
        drawn = chart("p99 by rate", x, y, [Series("p99", p99)])
    asked = Series("asked for", [(0.0, 0.0), (steps[-1].rate, steps[-1].rate)])
    y = linear_axis("answers a second", steps[-1].rate)
    drawn += chart("Right answers a second by rate", x, y, [Series("right answers", goodput), asked])
    rows = [
        [
            f"{step.rate:,.0f}",
            f"{step.goodput:,.0f}",
            f"{step.p99_ms:.2f}",
            f"{step.error_share:.2%}",
            step.broken_by or "held",
        ]
        for step in outcome.steps
    ]
    columns = ["asked for, /s", "right, /s", "p99, ms", "errors", ""]
    return f"<h2>Where it breaks</h2><p>{escape(knee_in_words(outcome))}</p>{drawn}{_table(columns, rows)}"


def _thresholds(judged: Sequence[Judged]) -> str:
    if not judged:
        return ""
    rows = [f"<li{' class=crossed' if each.crossed else ''}>{escape(in_words(each))}</li>" for each in judged]
    return f"<h2>Thresholds</h2><ul>{''.join(rows)}</ul>"


def _list(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    head = f"<h2>{escape(title)}</h2>" if title else ""
    return f"{head}<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
