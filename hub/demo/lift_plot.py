"""The lift over the guests' visits, before and after a release that was learned of them; a mark a part."""

from __future__ import annotations

from html import escape
from typing import Final

from hub.demo.hits import told
from hub.demo.turning import SLICES, Turned

_WIDTH: Final = 640
_HEIGHT: Final = 260
_LEFT: Final = 60
_BOTTOM: Final = 40
_TOP: Final = 16


def lift_plot(turned: Turned) -> str:
    """An SVG: share liked of the model's choices less that of the rule's; empty where nothing was chosen."""
    if not turned.slices:
        return ""
    low = min(0.0, *(each.lift.ci_low for each in turned.slices))
    high = max(0.0, *(each.lift.ci_high for each in turned.slices))
    room = max(high - low, 0.01) * 0.08

    def y(value: float) -> float:
        return _TOP + (high + room - value) / (high - low + 2 * room) * (_HEIGHT - _TOP - _BOTTOM)

    step = (_WIDTH - _LEFT - 20) / SLICES
    drawn = [f'<line class="zero" x1="{_LEFT}" x2="{_WIDTH - 20}" y1="{y(0):.1f}" y2="{y(0):.1f}"/>']
    drawn += [
        f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:+.0%}</text>'
        for value in sorted({0.0, round(low, 2), round(high, 2)})
    ]
    for each in turned.slices:
        x = _LEFT + (each.start * SLICES + 0.5) * step
        kind = "challenger" if each.learned else "champion"
        ends = y(each.lift.ci_low), y(each.lift.ci_high)
        drawn.append(
            f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{ends[0]:.1f}" y2="{ends[1]:.1f}"/>'
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y(each.lift.estimate):.1f}" r="5"/>'
            f'<text x="{x:.1f}" y="{_HEIGHT - 22}" text-anchor="middle">{each.start:.0%}</text>'
        )
    switch = next((each.start for each in turned.slices if each.learned), None)
    if switch is not None:
        x = _LEFT + switch * SLICES * step
        drawn.append(f'<line class="switch" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
        drawn.append(f'<text x="{x + 6:.1f}" y="{_TOP + 10}">release {turned.phases[-1].release} serves</text>')
    drawn.append(f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT - 4}" text-anchor="middle">part of the visits</text>')
    label = escape("Lift of the model over the rule, over the visits")
    return f'<svg class="rates" role="img" aria-label="{label}" viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(drawn)}</svg>'


def lift_words(turned: Turned) -> list[list[str]]:
    """The same for a table: a row a release."""
    rows = []
    for each in turned.phases:
        rows.append([f"films picked by release {each.release}: liked", f"{told(each.model)} of {each.picks:,}"])
        rows.append(["  more than of the rule's picks at the same moments", told(each.lift)])
    if turned.predicted_lift is not None:
        rows.append(["  what the log had said of the new model over the old one", told(turned.predicted_lift)])
    rows.append(["the learning loop's turn", f"{turned.state}: {turned.reason}" if turned.reason else turned.state])
    return rows
