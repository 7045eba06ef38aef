"""The demo's figures for people: tables in a terminal, and one page with a plot."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from rich.table import Table

from edgewise.terminal import table
from hub.demo.hits import HitRates, told
from hub.demo.lift_plot import lift_plot, lift_words
from hub.demo.run import Figures

EVIDENCE: Final = (
    "A replayed hit rate is evidence, not lift: these visitors did not see the lists. Lift takes a live experiment."
)


def tables(figures: Figures) -> list[Table | str]:
    """Everything that the demo measured, in the order of the story."""
    rates = [
        [name, f"{group.visitors:,}", f"{group.events:,}", told(group.champion), told(group.challenger)]
        for name, group in figures.hit_rate_at_10.items()
    ]
    label = "SIMULATED WORLD, no real behaviour" if figures.simulated else figures.data
    shown: list[Table | str] = [
        table(
            ["visitors", "people", "events", "champion (popularity rule)", "challenger (model)"],
            rates,
            title=f"Hit rate@10 on replayed events, 95 % interval - {label}",
        ),
        EVIDENCE,
        table(["what", "figure"], _facts(figures)),
    ]
    return shown


def _facts(figures: Figures) -> list[list[Any]]:
    down = figures.hub_down
    facts: list[list[Any]] = [
        ["decisions made in the replay", f"{figures.decisions:,} (errors: {figures.errors})"],
        ["decision p50 / p99, at the client", _pair(figures.decide.p50_ms, figures.decide.p99_ms)],
        ["decision p50 / p99, in the node", _pair(figures.decide_in_node.p50_ms, figures.decide_in_node.p99_ms)],
        ["click -> changed decision, same node", _pair(figures.click_same_node.p50_ms, figures.click_same_node.p99_ms)],
        [
            "click -> changed decision, other node",
            _pair(figures.click_other_node.p50_ms, figures.click_other_node.p99_ms),
        ],
        *lift_words(figures.learning),
        ["bundle version on the nodes", ", ".join(map(str, figures.bundle_versions))],
        ["decisions while the hub was down", f"{down.decisions} (errors: {down.errors})"],
        ["clicks meanwhile, still in spools after its return", f"{down.clicks}, {down.pending_after}"],
    ]
    bandit = figures.open_bandit
    if bandit is None:
        facts.append(["Open Bandit sample", f"not evaluated: {figures.open_bandit_missing}"])
        return facts
    facts += [
        [
            "Open Bandit (random -> Bernoulli TS, all): IPS",
            f"{bandit.ips:.6f} [{bandit.ips_ci_low:.6f}, {bandit.ips_ci_high:.6f}]",
        ],
        ["  relative estimation error", f"{bandit.relative_estimation_error:.3f}"],
        ["  SNIPS", f"{bandit.snips:.6f}"],
        ["  effective sample size", f"{bandit.ess:,.1f}"],
        ["  verdict", bandit.verdict],
    ]
    return facts


def page(figures: Figures) -> str:
    """One HTML page with the hit rates as a plot; no script, styles from the shop's own sheet."""
    rows = "".join(
        f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>" for name, value in _facts(figures)
    )
    whose = "Simulated world, no real behaviour" if figures.simulated else figures.data
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>What the demo measured</title>
<link rel="stylesheet" href="/shop.css"></head><body><main>
<h1>What the demo measured</h1>
<p class="hint">{escape(whose)}. {escape(EVIDENCE)}</p>
<h2>Hit rate@10, 95 % interval over visitors</h2>
{_plot(figures.hit_rate_at_10)}
<h2>What was learned of {figures.learning.guests} guests' own choices</h2>
<p class="hint">Of ten films that a guest was about to watch, one is shown; liked is what he gave four stars or more.
Marks: share liked of the model's choices less that of the rule's at the same moments, 95 % intervals over guests.</p>
{lift_plot(figures.learning)}
<h2>Figures</h2><table class="figures">{rows}</table>
<p class="hint"><a href="/">Back to the shop</a> · <a href="/results.json">the same as JSON</a></p>
</main></body></html>"""


_WIDTH: Final = 640
_LEFT: Final = 190
_ROW: Final = 26


def _plot(groups: dict[str, HitRates]) -> str:
    most = max(group.challenger.ci_high for group in groups.values()) * 1.15
    drawn = []
    position = 0
    for name, group in groups.items():
        for arm, rate in (("champion", group.champion), ("challenger", group.challenger)):
            middle = position * _ROW + 18
            left, right, at = (_x(value, most) for value in (rate.ci_low, rate.ci_high, rate.estimate))
            drawn.append(
                f'<text x="{_LEFT - 12}" y="{middle + 4}" text-anchor="end">{escape(name)}, {arm}</text>'
                f'<line class="{arm}" x1="{left:.1f}" x2="{right:.1f}" y1="{middle}" y2="{middle}"/>'
                f'<circle class="{arm}" cx="{at:.1f}" cy="{middle}" r="5"/>'
                f'<text x="{right + 8:.1f}" y="{middle + 4}">{rate.estimate:.3f}</text>'
            )
            position += 1
    height = position * _ROW + 16
    return (
        f'<svg class="rates" role="img" aria-label="Hit rates with intervals" viewBox="0 0 {_WIDTH} {height}">'
        f"{''.join(drawn)}</svg>"
    )


def _x(value: float, most: float) -> float:
    return _LEFT + value / most * (_WIDTH - _LEFT - 60)


def _pair(p50_ms: float, p99_ms: float) -> str:
    return f"{p50_ms:.2f} / {p99_ms:.2f} ms"
