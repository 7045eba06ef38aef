"""A ranker's card: what it is for, what it learned from, how good it was, and what it cannot do.

Plain JSON, section by section, as `edgewise model card` prints it. Nothing in it depends on when or how fast it was
made, so that the same data give the same card, and with it the same digest.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

import msgspec
import numpy as np

from edgewise.features.table import FeatureTable
from hub.parity import Parity
from hub.site.recipes import RankerRecipe
from hub.train.card_sections import consent, reproduction
from hub.train.dataset import RankingRows
from hub.train.history import History
from hub.train.judging import Judged
from hub.train.shop import Seat
from hub.train.tuning import Tuned

DIGITS = 6
FEW_VISITORS = 30
"""A bootstrap over fewer tells less than it seems to; over one visitor it tells nothing."""


class Lineage(NamedTuple):
    """What a model that was trained incrementally goes on with."""

    parent: int
    parent_sha256: str
    records_then: int
    """How many records the parent knew."""
    is_past_unchanged: bool
    """Nothing of them was erased since, and nothing older came late."""
    trees_added: int


class Evidence(NamedTuple):
    """All that a card is written from."""

    history: History
    recipe: RankerRecipe
    seat: Seat
    features: FeatureTable
    gains: list[float]
    """One a feature."""
    rows: RankingRows
    through: int
    judged_from: int
    unavailable: int
    judged: dict[str, Judged]
    parity: Parity
    seed: int
    tuned: Tuned | None = None
    lineage: Lineage | None = None
    decisions: int | None = None
    """How many the trees learned from, where they did not learn from the replay."""
    sureness: dict[str, float] | None = None
    """Of a model that says standard errors, on the outcomes that judged it."""


def ranker_card(evidence: Evidence) -> dict[str, Any]:
    """Sections by name; a text, a mapping or a list each."""
    outcome = evidence.recipe.outcome
    stars = "" if outcome.at_least is None else f" with {outcome.at_least:g} stars or more"
    return {
        "summary": (
            f"Ranks the candidates of the placement {evidence.seat.placement} (arm {evidence.seat.arm}) by how likely "
            f"the visitor's next {outcome.kind}{stars} is about them. {_scale(evidence.recipe)}"
        ),
        "kind": "ranker",
        "data": _data(evidence),
        "metrics": {
            f"{measure}, {group} visitors": {
                name: round(value, DIGITS) for name, value in msgspec.structs.asdict(estimate).items()
            }
            for group, judged in evidence.judged.items()
            for measure, estimate in judged.measures.items()
        },
        "features": _features(evidence),
        "consent": consent(evidence.features),
        "fairness": _fairness(evidence),
        **({} if evidence.sureness is None else {"sureness": _rounded(evidence.sureness)}),
        "known_limits": _limits(evidence),
        "parity": msgspec.structs.asdict(evidence.parity),
        "settings": msgspec.to_builtins(evidence.recipe),
        "reproduction": {
            **reproduction(evidence.history, evidence.features, evidence.seed),
            **_lineage(evidence),
        },
    }


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(number, DIGITS) for name, number in numbers.items()}


def _scale(recipe: RankerRecipe) -> str:
    if recipe.linear is None:
        return "Scores are log-odds, good for ordering only."
    return "Scores are expected rewards, by a line that can fall below 0 and rise above every reward."


def _lineage(evidence: Evidence) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if evidence.tuned is not None:
        said["tuned"] = msgspec.to_builtins(evidence.tuned)
    if evidence.lineage is not None:
        said["parent"] = evidence.lineage._asdict()
    return said


def _data(evidence: Evidence) -> dict[str, Any]:
    history, judged = evidence.history, evidence.judged["all"]
    return {
        "from": _day(history, 0),
        "to": _day(history, -1),
        "records": len(history),
        "visitors": history.visitors,
        "items_touched": len(history.touches.items),
        "items of the rows fitted until": _day(history, evidence.through - 1),
        "judged on outcomes from": _day(history, evidence.judged_from),
        "outcomes_learned_from": evidence.rows.choices - judged.choices if evidence.decisions is None else 0,
        "outcomes_judged": judged.choices,
        "visitors_judged": judged.visitors,
        "outcomes_left_out": evidence.unavailable,
        **({} if evidence.decisions is None else {"decisions_learned_from": evidence.decisions}),
        "rows": len(evidence.rows),
    }


def _day(history: History, number: int) -> str:
    return dt.datetime.fromtimestamp(history.deeds[number].moment_ms / 1_000, dt.UTC).isoformat(timespec="seconds")


def _features(evidence: Evidence) -> dict[str, Any]:
    total = sum(evidence.gains)
    return {
        feature.name: {
            "type": type(feature).__struct_config__.tag,
            "purpose": feature.purpose,
            "gain_share": round(gain / total, DIGITS),
        }
        for feature, gain in sorted(
            zip(evidence.features.features, evidence.gains, strict=True), key=lambda pair: -pair[1]
        )
    }


def _fairness(evidence: Evidence) -> dict[str, Any]:
    """What the replay can tell: whether visitors whom the history did not know are served worse."""
    measured = {
        f"{measure}, {group} visitors": {
            name: round(value, DIGITS) for name, value in msgspec.structs.asdict(estimate).items()
        }
        for group, judged in evidence.judged.items()
        if group != "all"
        for measure, estimate in list(judged.measures.items())[:1]
    }
    return {
        **measured,
        "not measured": "groups of people by age, sex, income or origin, which the ledger need not know, and how often "
        "items of each supplier are shown",
    }


def _limits(evidence: Evidence) -> list[str]:
    limits = [
        "A hit rate on a replay is evidence, not lift: visitors were not shown what the model would have shown them.",
        "What a visitor did not touch counts as not wanted, though he may never have seen it.",
        "The judged model knows items as they were when its rows begin; the served one knows them until the end."
        if evidence.recipe.items_of is None
        else f"Items are known as {evidence.recipe.items_of} knows them, which may have seen what it is judged on.",
    ]
    limits += [
        f"Intervals of {group} visitors come from only {judged.visitors} of them; they are likely too narrow."
        for group, judged in evidence.judged.items()
        if judged.visitors < FEW_VISITORS
    ]
    columns = zip(evidence.rows.names, evidence.rows.matrix.T, strict=True)
    absent = [name for name, column in columns if np.isnan(column).all()]
    if absent:
        limits.append(f"Missing in every row, so that nothing was learned of them: {', '.join(absent)}.")
    if evidence.decisions is not None:
        limits.append(
            "It learned from what nodes showed: of what was never shown it knows nothing, and items that suit some "
            "visitors better stood higher for them, so that slots seem to be worth more than they are."
        )
    if evidence.lineage is not None:
        limits.append("Only the latest trees learned from the new records; what the older ones learned does not fade.")
        if not evidence.lineage.is_past_unchanged:
            limits.append(
                "Of what the parent had learned from, something was erased since, or something older came late; "
                "only training in full takes that into account."
            )
    if evidence.recipe.linear is not None:
        limits.append("It is a line: of two columns together it knows what `interactions` name, and nothing else.")
    elif evidence.recipe.trees.objective == "lambdarank":
        limits.append("Scores order the candidates of one decision; they do not compare across decisions.")
    return limits
