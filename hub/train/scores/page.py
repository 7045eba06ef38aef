"""A score as a page: how good it was, how often what it said came, what it looks at, and whose labels it learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hub.report_page import Bar, Line, bars, heading, in_table, lines, page, sentence, sentences
from hub.train.judging import Estimate
from hub.train.scores.card import ScoreEvidence, limits_of, summary_of
from hub.train.scores.examples import WeakEvidence
from hub.train.scores.reliability import Reliability

MOST_FEATURES: Final = 20
MOST_LINES: Final = 4
"""Colours of a plot; the classes that came most often are drawn, all are in the table."""


def score_page(title: str, evidence: ScoreEvidence) -> str:
    """HTML with plots."""
    judged = evidence.judged
    by_gain = sorted(zip(evidence.features.features, evidence.gains, strict=True), key=lambda pair: -pair[1])
    total = sum(evidence.gains)
    return page(
        title,
        sentence(summary_of(evidence.recipe)),
        heading("On later rows"),
        sentence(f"{judged.rows:,} rows of {judged.visitors:,} visitors, later than what was learned from."),
        in_table(["", "measured", "95 %"], [_measured(name, of) for name, of in judged.measures.items()]),
        heading("Calibration"),
        sentence(f"Expected calibration error {judged.error:.4f}; of trees alone {judged.error_before:.4f}."),
        _plot(judged.reliability, evidence),
        in_table(["class", "rows", "said", "came", "95 %"], _bins(judged.reliability)),
        heading("What it looks at"),
        bars(
            "The share of the gain of each feature, largest first",
            [Bar(feature.name, gain / total) for feature, gain in by_gain[:MOST_FEATURES]],
        ),
        *(() if evidence.examples.weak is None else _weak(evidence.examples.weak)),
        heading("What it cannot do"),
        sentences(limits_of(evidence)),
    )


def _measured(name: str, estimate: Estimate) -> list[str]:
    return [name, f"{estimate.estimate:.4f}", f"{estimate.ci_low:.4f} to {estimate.ci_high:.4f}"]


def _plot(tables: Mapping[str, Reliability], evidence: ScoreEvidence) -> str:
    came = evidence.parts.judge.belief.mean(axis=0)
    classes = evidence.examples.classes
    drawn = [classes[number] for number in (-came).argsort(kind="stable")[:MOST_LINES]] if classes else list(tables)
    return lines(
        "How often a class came, by how likely it was said to be; on the diagonal both are equal",
        "said",
        "came",
        [Line(name, [(held.said, held.came) for held in tables[name].bins]) for name in drawn],
        diagonal=True,
    )


def _bins(tables: Mapping[str, Reliability]) -> list[list[str]]:
    return [
        [name, f"{held.rows:,}", f"{held.said:.4f}", f"{held.came:.4f}", f"{held.low:.4f} to {held.high:.4f}"]
        for name, table in tables.items()
        for held in table.bins
    ]


def _weak(weak: WeakEvidence) -> list[str]:
    rows = [
        [
            f"{rule.name}: {rule.sentence}",
            rule.reason,
            *(f"{float(of[number]):.3f}" for of in (weak.spoke, weak.model.found, weak.model.mistaken)),
        ]
        for number, rule in enumerate(weak.rules)
    ]
    return [
        heading("Weak rules"),
        sentence(
            "Nobody said why a cart was left. These rules speak for a reason each; how far each is believed was found "
            f"out from how they agree. No rule spoke of {weak.silent:,} carts."
        ),
        in_table(["rule", "reason", "spoke of", "where its reason held", "where another held"], rows),
    ]
