"""The report of `train topics` as a page: how good, and which topics are taken for which."""

from __future__ import annotations

import math
from typing import Final

from hub.report_page import Bar, bars, heading, in_table, page, sentence, sentences
from hub.train.topics import TopicQuality, TopicsReport

_DRAWN: Final = 30
"""Topics, the worst recognised first; the table holds them all."""


def topics_page(report: TopicsReport) -> str:
    """HTML 5, for `--html`."""
    ordered = sorted(report.by_topic.items(), key=_worst_first)
    metrics = report.metrics
    shares = {name: held for name, held in metrics.items() if held.ci_high <= 1}
    return page(
        f"{report.target}: topics of {report.text}",
        sentence(
            f"{len(report.classes)} topics from {report.rows:,} texts, {report.parts:,} parts of words; judged by "
            f"{report.judged_by}."
        ),
        *(sentence(warning, is_warning=True) for warning in report.warnings),
        heading("How good"),
        bars(
            "Each metric that is a share, with its 95 % interval",
            [Bar(name, held.mean, held.ci_low, held.ci_high) for name, held in shares.items()],
        ),
        in_table(
            ["metric", "", "95 %"],
            [[name, f"{held.mean:.4f}", f"[{held.ci_low:.4f}, {held.ci_high:.4f}]"] for name, held in metrics.items()],
        ),
        heading("Which topics are recognised"),
        bars(
            "Share of a topic's texts that were given it, the worst first",
            [Bar(name, math.nan if held.recall is None else held.recall) for name, held in ordered[:_DRAWN]],
        ),
        in_table(
            ["topic", "texts", "found", "precision", "else mostly taken for"],
            [
                [name, f"{held.texts:,}", _share(held.recall), _share(held.precision), held.taken_for or "-"]
                for name, held in ordered
            ],
        ),
        heading("Proof"),
        sentence(
            f"The exported model was compared with the trained one by the scorer that runs on the edge, on "
            f"{report.parity.rows:,} texts: the largest difference is {report.parity.max_abs_error:.2g}."
        ),
        sentences([f"seed {report.seed}; settings {report.settings}", f"table {report.table_sha256}"]),
    )


def _worst_first(pair: tuple[str, TopicQuality]) -> tuple[float, str]:
    name, held = pair
    return (2.0 if held.recall is None else held.recall, name)


def _share(held: float | None) -> str:
    return "-" if held is None else f"{held:.1%}"
