"""One evaluation as a page that can be sent around: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Final

import numpy as np

from hub.evaluation.evaluate import Evaluated
from hub.evaluation.logged import Floats
from hub.evaluation.verdict import Verdict

_WIDTH: Final = 640
_LABEL: Final = 90
_PLOT: Final = _WIDTH - _LABEL - 20
_BARS: Final = 160
_BINS: Final = 12
_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right}th:first-child,td:first-child{text-align:left}
.verdict{padding:.6rem 1rem;border-left:.4rem solid}.ok{border-color:#2a7d4f}.warn{border-color:#c98500}
.refused{border-color:#b3261e}svg{width:100%;height:auto}text{font:12px system-ui,sans-serif;fill:#222}
.rows{fill:#9db7d5}.weight{fill:#1f4e8c}.line{stroke:#1f4e8c;stroke-width:2}.logged{stroke:#888;stroke-dasharray:4 3}
"""


def html_report(evaluated: Evaluated) -> str:
    """The verdict first, then estimates with intervals, then where the weight lies.

    A refused evaluation shows no estimates: a number beside a refusal is what people remember.
    """
    evaluation = evaluated.evaluation
    title = f"{evaluated.policy} on {evaluated.decisions}"
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in evaluation.warnings)
    shown = "" if evaluation.verdict is Verdict.REFUSED else _estimates(evaluated)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f'<div class="verdict {evaluation.verdict}"><strong>{evaluation.verdict}</strong><ul>{reasons}</ul></div>'
        f"<p>{evaluation.n:,} actions shown; the logging policy earned {evaluation.logged_value:.6g} each.</p>"
        f"{shown}<h2>Where the weight lies</h2><p>Light: share of the logged actions; dark: share of all weight."
        " A dark bar far right with no light one is an estimate made of a few decisions.</p>"
        f"{weight_histogram(evaluated.weights)}</html>\n"
    )


def _estimates(evaluated: Evaluated) -> str:
    evaluation = evaluated.evaluation
    rows = "".join(
        f"<tr><td>{escape(name)}<td>{_number(found.estimate)}<td>{_number(found.ci_low)}<td>{_number(found.ci_high)}"
        f"<td>{_number(found.stderr, 3)}<td>{found.ess:,.1f}<td>{found.max_weight:,.2f}"
        for name, found in evaluation.estimators.items()
    )
    return (
        "<h2>Estimated value</h2><table><tr><th>estimator<th>estimate<th>95 % from<th>to<th>standard error"
        f"<th>effective sample size<th>largest weight{rows}</table>{_intervals(evaluated)}"
    )


def _number(value: float, digits: int = 6) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}g}"


def _intervals(evaluated: Evaluated) -> str:
    """Each estimator's interval on one scale, the logged value as a dashed line."""
    evaluation = evaluated.evaluation
    bounds = [evaluation.logged_value, 0.0]
    bounds += [
        value for found in evaluation.estimators.values() for value in (found.estimate, found.ci_low, found.ci_high)
    ]
    low, high = float(np.nanmin(bounds)), float(np.nanmax(bounds))
    span = (high - low) or 1.0
    height = 30 * len(evaluation.estimators) + 30

    def x(value: float) -> str:
        return f"{_LABEL + (value - low) / span * _PLOT:.1f}"

    marks = [
        (
            f'<line class="logged" x1="{x(evaluation.logged_value)}" x2="{x(evaluation.logged_value)}" y1="0" '
            f'y2="{height - 20}"/><text x="{x(low)}" y="{height - 4}">{low:.4g}</text>'
            f'<text x="{x(high)}" y="{height - 4}" text-anchor="end">{high:.4g}</text>'
        )
    ]
    for place, (name, found) in enumerate(evaluation.estimators.items()):
        y = 30 * place + 20
        marks.append(f'<text x="0" y="{y + 4}">{escape(name)}</text>')
        if not np.isnan([found.ci_low, found.ci_high]).any():
            marks.append(f'<line class="line" x1="{x(found.ci_low)}" x2="{x(found.ci_high)}" y1="{y}" y2="{y}"/>')
        if not np.isnan(found.estimate):
            marks.append(f'<circle class="weight" cx="{x(found.estimate)}" cy="{y}" r="4"/>')
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="intervals">{"".join(marks)}</svg>'


def weight_bins(weights: Floats) -> list[tuple[str, float, float]]:
    """(label, share of rows, share of weight) for weight 0 and for equal steps of its logarithm."""
    positive = weights[weights > 0]
    bins = [("0", float(np.mean(weights <= 0)), 0.0)]
    if not len(positive):
        return bins
    edges = np.geomspace(positive.min(), positive.max() * (1 + 1e-9), _BINS + 1)
    place = np.clip(np.searchsorted(edges, positive, side="right") - 1, 0, _BINS - 1)
    counts = np.bincount(place, minlength=_BINS) / len(weights)
    masses = np.bincount(place, positive, minlength=_BINS) / positive.sum()
    return bins + [(f"{edges[i]:.3g}", float(counts[i]), float(masses[i])) for i in range(_BINS)]


def weight_histogram(weights: Floats) -> str:
    """An SVG of `weight_bins`."""
    bins = weight_bins(weights)
    step = _WIDTH / len(bins)
    bars = []
    for place, (label, rows, mass) in enumerate(bins):
        left = place * step
        bars.append(
            f'<rect class="rows" x="{left + 2:.1f}" y="{_BARS * (1 - rows):.1f}" width="{step / 2 - 3:.1f}" '
            f'height="{_BARS * rows:.1f}"><title>{rows:.2%} of the actions</title></rect>'
            f'<rect class="weight" x="{left + step / 2:.1f}" y="{_BARS * (1 - mass):.1f}" '
            f'width="{step / 2 - 3:.1f}" height="{_BARS * mass:.1f}"><title>{mass:.2%} of the weight</title></rect>'
            f'<text x="{left + step / 2:.1f}" y="{_BARS + 16}" text-anchor="middle">{label}</text>'
        )
    return f'<svg viewBox="0 0 {_WIDTH} {_BARS + 24}" role="img" aria-label="weights">{"".join(bars)}</svg>'
