"""A comparison of logged and replayed features, for people: a sentence, a table, a page."""

from __future__ import annotations

import datetime as dt
from typing import Final

from hub.report_page import Bar, bars, heading, in_table, page, sentence, sentences
from hub.train.skew import FeatureSkew, Skew

COLUMNS: Final = ("feature", "cells", "mismatch", "missing", "extra", "largest difference")
EXAMPLE_COLUMNS: Final = ("decision", "placement", "item", "feature", "logged", "replayed")
_WHY: Final = {
    "no-model": "no model ranked, or none that was asked about",
    "no-profile": "the ledger does not hold all that the node had read of the visitor",
    "doubtful": "the rows differ, but what had happened before is in doubt; `edgewise replay` says why",
    "no-bundle": "the bundle that decided is not here any more",
    "no-facts": "the live facts that were in force are not kept any more",
    "damaged": "the record is damaged",
}


def verdict(found: Skew) -> str:
    """In one sentence."""
    if not found.decisions:
        return "No decision could be compared: nothing is known of skew."
    compared = f"{found.rows:,} rows of {found.decisions:,} decisions"
    if found.is_sound:
        return f"No skew: {compared}, and every cell is what the hub computes, to the bit."
    worst = [feature.name for feature in found.features if feature.unequal]
    return f"Skew: {found.unequal:,} cells of {compared} are not what the hub computes: {', '.join(worst)}."


def cells(feature: FeatureSkew) -> list[str]:
    """One row under COLUMNS."""
    counts = (feature.cells, feature.mismatch, feature.missing, feature.extra)
    return [feature.name, *(f"{count:,}" for count in counts), f"{feature.largest_difference:.3g}"]


def left_out(found: Skew) -> list[str]:
    """A line for every reason why decisions were not compared."""
    return [f"{count:,} decisions left out: {_WHY.get(reason, reason)}" for reason, count in found.left_out.items()]


def skew_page(found: Skew, model: str | None) -> str:
    """HTML."""
    what = "all models" if model is None else f"the model {model}"
    shares = [Bar(feature.name, 100 * feature.unequal / feature.cells) for feature in found.features if feature.unequal]
    parts = [
        sentence(verdict(found), is_warning=not found.is_sound),
        sentence(f"Of {what}; decisions {_between(found)}. Logged is what a node computed and a model was served."),
        heading("Features"),
        in_table(COLUMNS, [cells(feature) for feature in found.features]),
    ]
    if shares:
        parts.append(bars("Share of cells that differ, in percent, by feature", shares))
    if found.examples:
        rows = [
            [each.decision_id, each.placement, each.item, each.feature, _number(each.logged), _number(each.replayed)]
            for each in found.examples
        ]
        parts += [heading("Examples"), in_table(EXAMPLE_COLUMNS, rows)]
    if found.left_out:
        parts += [heading("Not compared"), sentences(left_out(found))]
    return page("Served features against replayed ones", *parts)


def _between(found: Skew) -> str:
    if found.first_ms is None or found.last_ms is None:
        return "of no time"
    first, last = (dt.datetime.fromtimestamp(time_ms / 1_000, dt.UTC) for time_ms in (found.first_ms, found.last_ms))
    return f"from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def _number(value: float | None) -> str:
    return "none" if value is None else repr(value)
