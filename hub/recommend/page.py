"""A trial as a page: how good, above what, for whom."""

from __future__ import annotations

import math

from hub.recommend.report import BASELINE, Group, Report
from hub.report_page import Bar, Line, bars, heading, in_table, lines, page, sentence, sentences

_RANKED_BY = ("ndcg_cut", "recall", "hit_rate", "mrr")


def report_page(report: Report, *, title: str) -> str:
    """HTML that can be sent around; every number of a plot stands in a table as well."""
    ks = sorted({int(key.partition("@")[2]) for key in report.metrics})
    return page(
        title,
        sentence(_learned(report)),
        *(sentence(f"Warning: {warning}.", is_warning=True) for warning in report.warnings),
        heading("How good the lists are"),
        sentence(
            "Means over the judged users with 95 % intervals (bootstrap over users). NDCG cut divides by the best list "
            "of as many items as fit, uncut by the best list of all that was held back."
        ),
        in_table(["", *(f"@{k}" for k in ks)], _metrics(report, ks)),
        *_against_popular(report, ks),
        *_by_history(report.by_history, max(ks)),
        *_new_items(report, max(ks)),
        *_tried(report),
    )


def _learned(report: Report) -> str:
    settings = ", ".join(f"{name} {value:g}" for name, value in report.settings.items()) or "no settings"
    chosen = f"{report.method}, which chose {report.chosen}" if report.chosen else report.method
    return (
        f"{chosen} ({settings}) learned from {report.interactions['train']:,} interactions of "
        f"{report.items['learned']:,} items and was judged by {report.interactions['test']:,}, of "
        f"{report.users['judged']:,} users. Split {report.split}, seed {report.seed}."
    )


def _metrics(report: Report, ks: list[int]) -> list[list[str]]:
    rows = []
    for measure in dict.fromkeys(key.partition("@")[0] for key in report.metrics):
        cells = []
        for k in ks:
            key = f"{measure}@{k}"
            low, high = report.intervals.get(key, (math.nan, math.nan))
            interval = "" if math.isnan(low) else f" [{low:.4f}, {high:.4f}]"
            cells.append(f"{report.metrics[key]:.4f}{interval}")
        rows.append([measure, *cells])
    return rows


def _against_popular(report: Report, ks: list[int]) -> list[str]:
    k = max(ks)
    name = report.chosen or report.method
    rows, drawn = [], []
    for measure in _RANKED_BY:
        key = f"{measure}@{k}"
        more, low, high = report.above_baseline[key]
        rows.append(
            [key, f"{report.metrics[key]:.4f}", f"{report.baseline[key]:.4f}", f"{more:+.4f} [{low:+.4f}, {high:+.4f}]"]
        )
        drawn += [Bar(f"{key}, {name}", report.metrics[key], *report.intervals[key])]
        drawn += [Bar(f"{key}, {BASELINE}", report.baseline[key])]
    by_k = [
        Line(label, [(k, found[f"ndcg_cut@{k}"]) for k in ks])
        for label, found in ((name, report.metrics), (BASELINE, report.baseline))
    ]
    plot = [lines("NDCG cut by the length of the list", "length of the list", "NDCG cut", by_k)] if len(ks) > 1 else []
    return [
        heading("Above what is popular"),
        sentence("The difference is taken user by user: an interval above 0 is no accident of who was judged."),
        in_table(["", name, BASELINE, "difference"], rows),
        bars(f"{name} beside {BASELINE}", drawn),
        *plot,
    ]


def _by_history(groups: list[Group], k: int) -> list[str]:
    named = [(_items(group), group) for group in groups]
    return [
        heading("Of whom much is known, and little"),
        sentence(f"NDCG cut at {k} by how many items a user has in what was learned from."),
        in_table(
            ["items", "users", "NDCG cut"],
            [
                [name, f"{group.users:,}", f"{group.value:.4f} [{group.low:.4f}, {group.high:.4f}]"]
                for name, group in named
            ],
        ),
        bars("NDCG cut by length of history", [Bar(f"{name} items", g.value, g.low, g.high) for name, g in named]),
    ]


def _items(group: Group) -> str:
    if group.most is None:
        return f"{group.least} or more"
    return str(group.least) if group.least == group.most else f"{group.least} to {group.most}"


def _new_items(report: Report, k: int) -> list[str]:
    if report.new_items_found is None:
        return []
    return [
        heading("Items that nobody had used"),
        sentence(
            f"Items in test alone: {report.items['new']:,}. Of their held-back uses {report.new_items_found:.1%} "
            f"are in a list of {k}. What learns from use alone finds none; content does."
        ),
    ]


def _tried(report: Report) -> list[str]:
    if not report.tried:
        return []
    able = [attempt for attempt in report.tried if attempt.worth is not None]
    return [
        heading("What was tried"),
        sentence("NDCG cut at 10 on a part of train; what the lists above are judged by was not looked at."),
        in_table(
            ["method", "NDCG cut@10", "settings"],
            [
                [attempt.method, f"{attempt.worth:.4f}", ", ".join(f"{n} {v:g}" for n, v in attempt.settings.items())]
                for attempt in able
                if attempt.worth is not None
            ],
        ),
        sentences([f"{attempt.method}: {attempt.why}" for attempt in report.tried if attempt.worth is None]),
    ]
