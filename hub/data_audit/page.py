"""An audit as a page that can be sent around: no script, nothing to load."""

from __future__ import annotations

import datetime as dt
from html import escape
from typing import Final

from hub.data_audit.audit import Audit, Point

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2330}
table{border-collapse:collapse;width:100%}
td,th{padding:.2rem .8rem .2rem 0;border-bottom:1px solid #d5d9e2;text-align:left}
td.figure{text-align:right;font-variant-numeric:tabular-nums}svg{width:100%;height:auto}.stale{color:#a4161a}
text{font:12px system-ui,sans-serif;fill:currentColor}.have{fill:#2a7d4f}.lack{fill:#d9dde6}.lost{fill:#b3261e}
.cell{fill:#1f4e8c}.hint{color:#5a6272}
@media (prefers-color-scheme:dark){body{background:#14171d;color:#e6e9ef}td,th{border-color:#333a48}.lack{fill:#333a48}
.hint{color:#9aa3b5}.stale{color:#ff8087}.cell{fill:#7fb0e6}}
"""
_WIDTH: Final = 900
_LABEL: Final = 260
_ROW: Final = 22
_CELL: Final = 70


def page(audit: Audit) -> str:
    """HTML 5, encoded as UTF-8 by the caller: a journey, and the others behind it."""
    each = [audit, *audit.others]
    title = f"Data of the {'journey' if len(each) == 1 else 'journeys'} {', '.join(one.journey for one in each)}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"{''.join(_journey(one) for one in each)}</html>\n"
    )


def _journey(audit: Audit) -> str:
    when = dt.datetime.fromtimestamp(audit.as_of_ms / 1_000, dt.UTC)
    fixes = "".join(f"<li>{escape(fix.sentence)} <span class=hint>(+{fix.effect:.1%})</span>" for fix in audit.first)
    return (
        f"<h1>Data of the journey {escape(audit.journey)}</h1>"
        f"<p>{when:%Y-%m-%d %H:%M} UTC; {audit.active_people:,} people active within "
        f"{audit.active_days} days; {audit.join_rate:.0%} of all people are known to two sources or more.</p>"
        f"<h2>What to do first</h2><ol>{fixes or '<li>Nothing: all is there, fresh and joined.'}</ol>"
        f"<p class=hint>{escape(audit.estimate)}</p>"
        f"<h2>What the journey needs</h2>"
        f"<p class=hint>Green: who has it; red: the effect that is lost for want of it.</p>"
        f"{_points(audit.points)}{_table(audit)}<h2>Sources</h2>{_sources(audit)}"
        "<h2>Who is found where</h2><p class=hint>Of the people of the source on the left, the share that the source "
        f"above knows, too.</p>{_joins(audit)}"
    )


def _points(points: list[Point]) -> str:
    wide = _WIDTH - _LABEL - 120
    drawn = "".join(
        f'<text x="0" y="{at + 15}">{escape(f"{point.kind} {point.name}")}</text>'
        f'<rect class="lack" x="{_LABEL}" y="{at + 4}" width="{wide}" height="14"/>'
        f'<rect class="have" x="{_LABEL}" y="{at + 4}" width="{point.coverage * wide:.1f}" height="9"/>'
        f'<rect class="lost" x="{_LABEL}" y="{at + 14}" width="{point.lost * wide:.1f}" height="4"/>'
        f'<text x="{_LABEL + wide + 8}" y="{at + 15}">{point.coverage:.0%}, lost {point.lost:.1%}</text>'
        for at, point in ((position * _ROW, point) for position, point in enumerate(points))
    )
    label = "coverage and loss of each data point"
    return f'<svg viewBox="0 0 {_WIDTH} {len(points) * _ROW}" role="img" aria-label="{label}">{drawn}</svg>'


def _table(audit: Audit) -> str:
    rows = "".join(
        f"<tr><td>{escape(f'{point.kind} {point.name}')}<td class=figure>{point.worth:.0%}"
        f"<td class=figure>{point.coverage:.0%}<td>{escape(_from(point))}<td class=figure>{point.lost:.1%}"
        f"<td>{escape(point.why)}"
        for point in audit.points
    )
    return f"<table><tr><th>data point<th>worth<th>coverage<th>from<th>lost<th>why{rows}</table>"


def _from(point: Point) -> str:
    told = ", ".join(f"{source} {share:.0%}" for source, share in point.sources.items())
    return f"{told or 'no source'}{' (stale)' if point.stale else ''}"


def _sources(audit: Audit) -> str:
    rows = []
    for source in audit.sources:
        rhythm = source.rhythm
        usual = "no habit yet" if rhythm.usual_days is None else f"every {rhythm.usual_days:,.0f} d"
        rows.append(
            f"<tr><td>{escape(source.name)}<td class=figure>{source.people:,}<td class=figure>{source.join_rate:.0%}"
            f"<td class=figure>{source.duplicates:,}<td class=figure>{rhythm.silent_days:,.1f} d"
            f"<td class={'stale' if rhythm.stale else 'fresh'}>{usual}{', stale' if rhythm.stale else ''}"
        )
    head = "<tr><th>source<th>people<th>found elsewhere<th>duplicates<th>newest<th>usually"
    return f"<table>{head}{''.join(rows)}</table>"


def _joins(audit: Audit) -> str:
    names = [source.name for source in audit.sources]
    drawn = [f'<text x="{_LABEL + at * _CELL}" y="14">{escape(name[:10])}</text>' for at, name in enumerate(names)]
    for down, source in enumerate(audit.sources):
        y = 20 + down * _ROW
        drawn.append(f'<text x="0" y="{y + 15}">{escape(source.name)}</text>')
        for at, name in enumerate(names):
            share = source.joined_with.get(name)
            if share is not None:
                x = _LABEL + at * _CELL
                drawn.append(
                    f'<rect class="cell" x="{x}" y="{y}" width="{_CELL - 4}" height="18" opacity="{share / 2:.2f}"/>'
                    f'<text x="{x + 4}" y="{y + 14}">{share:.0%}</text>'
                )
    size = f"0 0 {max(_WIDTH, _LABEL + len(names) * _CELL)} {24 + len(names) * _ROW}"
    return f'<svg viewBox="{size}" role="img" aria-label="join rates between sources">{"".join(drawn)}</svg>'
