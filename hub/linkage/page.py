"""A linkage as a page: what agreement is worth, and how sure the pairs are. No script, nothing to load."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np

from hub.linkage.link import Linkage
from hub.linkage.scoring import LevelWorth, Pairs

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2330}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;border-bottom:1px solid #d5d9e2;text-align:left}
td.figure{text-align:right;font-variant-numeric:tabular-nums}svg{width:100%;height:auto}
text{font:12px system-ui,sans-serif;fill:currentColor}.for{fill:#2a7d4f}.against{fill:#b3261e}.bar{fill:#1f4e8c}
line{stroke:currentColor;stroke-width:.5}.hint{color:#5a6272}
@media (prefers-color-scheme:dark){body{background:#14171d;color:#e6e9ef}td,th{border-color:#333a48}.bar{fill:#7fb0e6}
.hint{color:#9aa3b5}}
"""
_WIDTH: Final = 900
_LABEL: Final = 380
_ROW: Final = 20
_BINS: Final = 40
_PLOT_HEIGHT: Final = 160


def page(linkage: Linkage, title: str) -> str:
    """HTML 5, encoded as UTF-8 by the caller."""
    linked = linkage.linked
    quality = ""
    if linked.quality is not None:
        rows = "".join(
            f"<tr><th>{name}<td class=figure>{each.precision:.4f}<td class=figure>{each.recall:.4f}"
            f"<td class=figure>{each.f1:.4f}<td class=figure>{each.right:,} of {each.found:,}"
            f"<td class=figure>{each.true:,}"
            for name, each in (("pairs", linked.quality.pairwise), ("clusters", linked.quality.clustered))
        )
        quality = (
            "<h2>Against the truth</h2><table><tr><th><th>precision<th>recall<th>F1<th>right pairs<th>true pairs"
            f"{rows}</table>"
        )
    notes = "".join(f"<li>{escape(note)}" for note in linked.notes)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1><p>{linked.records:,} records, {linked.people:,} people; "
        f"{len(linked.pairs):,} pairs at or above a probability of {linked.threshold:g}.</p><ul>{notes}</ul>{quality}"
        "<h2>What agreement is worth</h2><p class=hint>Right: so many doublings of the odds that two records are one "
        "person; left: halvings. Rare values count for more than this, common ones for less.</p>"
        f"{_worths(linkage.worths)}<h2>How sure the pairs are</h2><p class=hint>Pairs that were looked at, by the "
        "probability that they are one person; what is below .01 is not drawn.</p>"
        f"{_probabilities(linkage.scored)}</html>\n"
    )


def _worths(worths: Sequence[LevelWorth]) -> str:
    most = max(1.0, *(abs(worth.weight) for worth in worths))
    middle = _LABEL + (_WIDTH - _LABEL) / 2
    unit = ((_WIDTH - _LABEL) / 2 - 40) / most
    drawn = []
    for position, worth in enumerate(worths):
        y = position * _ROW
        long = abs(worth.weight) * unit
        x = middle if worth.weight >= 0 else middle - long
        kind, at = ("for", middle + long + 4) if worth.weight >= 0 else ("against", middle - long - 34)
        drawn.append(
            f'<text x="0" y="{y + 14}">{escape(worth.field.replace("_", " "))}: {escape(worth.words)}</text>'
            f'<rect class="{kind}" x="{x:.1f}" y="{y + 4}" width="{long:.1f}" height="12"/>'
            f'<text x="{at:.1f}" y="{y + 14}">{worth.weight:+.1f}</text>'
        )
    height = len(worths) * _ROW
    axis = f'<line x1="{middle}" x2="{middle}" y1="0" y2="{height}"/>'
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="match weights">{axis}{"".join(drawn)}</svg>'


def _probabilities(scored: Pairs) -> str:
    counts, _ = np.histogram(scored.probability, bins=_BINS, range=(0.0, 1.0))
    most = max(1.0, float(np.log10(counts.max(initial=0) + 1)))
    wide = _WIDTH / _BINS
    bars = "".join(
        f'<rect class="bar" x="{position * wide:.1f}" y="{_PLOT_HEIGHT - high:.1f}" '
        f'width="{wide - 2:.1f}" height="{high:.1f}">'
        f"<title>{count:,} pairs from {position / _BINS:.3f}</title></rect>"
        for position, count in enumerate(counts.tolist())
        for high in [float(np.log10(count + 1)) / most * (_PLOT_HEIGHT - 10)]
    )
    marks = "".join(
        f'<text x="{share * (_WIDTH - 24):.0f}" y="{_PLOT_HEIGHT + 16}">{share:g}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    )
    label = "pairs by probability, heights are logarithms of counts"
    return f'<svg viewBox="0 0 {_WIDTH} {_PLOT_HEIGHT + 20}" role="img" aria-label="{label}">{bars}{marks}</svg>'
