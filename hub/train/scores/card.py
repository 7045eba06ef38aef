"""A score's card: what it tells, what it learned from, how good and how calibrated it was, what it cannot do.

Plain JSON, section by section, as `edgewise model card` prints it. Nothing in it depends on when or how fast it was
made, so that the same data give the same card, and with it the same digest.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from edgewise.features.table import FeatureTable
from edgewise.ids import ModelName
from hub.export.calibration import Platt
from hub.parity import Parity
from hub.site.score_recipe import Abandonment, Churn, NextCategory, Purchase, ScoreRecipe, TraitScore
from hub.train.card_sections import consent, reproduction
from hub.train.history import History
from hub.train.scores.calibration import Calibration
from hub.train.scores.examples import Examples, WeakEvidence
from hub.train.scores.judging import JudgedScore
from hub.train.scores.rows import Parts, ScoreRows

DIGITS: Final = 6
FEW_VISITORS: Final = 30
"""A bootstrap over fewer tells less than it seems to."""


class ScoreEvidence(NamedTuple):
    """All that a card is written from."""

    name: ModelName
    history: History
    recipe: ScoreRecipe
    features: FeatureTable
    gains: list[float]
    """One a feature."""
    examples: Examples
    parts: Parts
    judged: JudgedScore
    calibration: Calibration
    parity: Parity
    seed: int


def score_card(evidence: ScoreEvidence) -> dict[str, Any]:
    """Sections by name; a text, a mapping or a list each."""
    weak = evidence.examples.weak
    return {
        "summary": summary_of(evidence.recipe),
        "kind": "score",
        **({"classes": list(evidence.examples.classes)} if evidence.examples.classes else {}),
        "data": _data(evidence),
        "metrics": {
            name: {part: round(value, DIGITS) for part, value in msgspec.structs.asdict(estimate).items()}
            for name, estimate in evidence.judged.measures.items()
        },
        "calibration": {
            "error": round(evidence.judged.error, DIGITS),
            "error of trees alone": round(evidence.judged.error_before, DIGITS),
            **_method(evidence.calibration),
            **{
                f"bins of {name}": [
                    {part: round(value, DIGITS) for part, value in msgspec.structs.asdict(held).items()}
                    for held in table.bins
                ]
                for name, table in evidence.judged.reliability.items()
            },
        },
        **({} if weak is None else {"weak_labels": weak_labels(weak, evidence.examples.classes)}),
        "features": _features(evidence),
        "consent": consent(evidence.features),
        "fairness": ["Nothing was measured about how it serves different groups of people."],
        "known_limits": limits_of(evidence),
        "parity": msgspec.structs.asdict(evidence.parity),
        "settings": msgspec.to_builtins(evidence.recipe),
        "reproduction": reproduction(evidence.history, evidence.features, evidence.seed),
    }


def _method(calibration: Calibration) -> dict[str, Any]:
    if isinstance(calibration, Platt):
        method, slope, shift = "Platt's sigmoid", calibration.slopes[0], calibration.intercepts
    else:
        method, slope, shift = (
            "a softmax with one slope and a shift for each class",
            calibration.slope,
            calibration.shift,
        )
    return {
        "method": f"{method} over the sums of leaves, fitted on later rows, inside the model",
        "slope": round(slope, DIGITS),
        "shift": [round(value, DIGITS) for value in shift],
    }


def summary_of(recipe: ScoreRecipe) -> str:
    """What the score tells, in a sentence."""
    said = ""
    match recipe.predicts:
        case Purchase(days=days):
            said = f"The probability that the visitor orders something within {days} days."
        case Churn(days=days):
            said = f"The probability that no later visit of the visitor begins within {days} days."
        case NextCategory(dimension=dimension, next="visit"):
            said = f"Which {dimension} a visitor who arrives will touch most often in his visit."
        case NextCategory(dimension=dimension, minutes=minutes):
            said = f"Which {dimension} the next item has that the visitor touches within {minutes} minutes."
        case Abandonment(idle_minutes=minutes):
            said = (
                f"Why the visitor left a cart {minutes} minutes ago, as weak rules see it: nobody has said, and what "
                "it learned from are labels that these rules agreed on."
            )
        case TraitScore(trait=trait, value=value):
            said = (
                f"Which {trait} the visitor would state, from what he does."
                if value is None
                else f"The probability that the visitor would state {value!r} as {trait}, from what he does."
            )
    return said


def weak_labels(weak: WeakEvidence, classes: tuple[str, ...]) -> dict[str, Any]:
    """Every rule with its sentence, and how far it was found to be believed."""
    model = weak.model
    return {
        rule.name: {
            "speaks for": rule.reason,
            "when": rule.sentence,
            "spoke of": round(float(weak.spoke[number]), DIGITS),
            "spoke where its reason held": round(float(model.found[number]), DIGITS),
            "spoke where another held": round(float(model.mistaken[number]), DIGITS),
        }
        for number, rule in enumerate(weak.rules)
    } | {
        "frequency": {name: round(float(model.prior[number]), DIGITS) for number, name in enumerate(classes)},
        "carts of which no rule spoke": weak.silent,
        "rules left out": [rule.name for rule in weak.left_out],
    }


def limits_of(evidence: ScoreEvidence) -> list[str]:
    """What it cannot do."""
    recipe, judged = evidence.recipe, evidence.judged
    limits = [
        "It says what comes, not what would change it: whoever is likely to buy may need no offer.",
        "What was judged learned from less than what is served, and was calibrated one part earlier.",
    ]
    match recipe.predicts:
        case Abandonment():
            limits.append(
                "Its labels are weak: metrics say how well it repeats what the rules agree on, not what visitors felt."
            )
        case NextCategory():
            limits.append("Moments that no touch follows are left out: it does not say whether one comes.")
        case TraitScore():
            limits.append("Who states a trait may differ from who does not; it was judged on those who do.")
        case _:
            pass
    if recipe.calendar is None and isinstance(recipe.predicts, Purchase | Churn):
        limits.append("Rows lie within visits: for people who are not there, train it with `calendar`.")
    if judged.visitors < FEW_VISITORS:
        limits.append(f"Intervals come from only {judged.visitors} visitors; they are likely too narrow.")
    missing = [
        name
        for name, column in zip(evidence.parts.judge.names, evidence.parts.judge.matrix.T, strict=True)
        if np.isnan(column).all()
    ]
    if missing:
        limits.append(f"Of the rows that were judged none had {', '.join(missing)}.")
    return limits


def _data(evidence: ScoreEvidence) -> dict[str, Any]:
    history, parts = evidence.history, evidence.parts
    return {
        "from": _when(history.deeds[0].moment_ms),
        "to": _when(history.deeds[-1].moment_ms),
        "records": len(history),
        "visitors": history.visitors,
        "moments": len(evidence.examples.moments),
        **{f"rows to {name}": _span(rows) for name, rows in parts._asdict().items()},
        "visitors_judged": evidence.judged.visitors,
        "divided by": "visitors" if isinstance(evidence.recipe.predicts, TraitScore) else "time",
    }


def _span(rows: ScoreRows) -> str:
    return f"{len(rows):,}, {_when(int(rows.now_ms.min()))} to {_when(int(rows.now_ms.max()))}"


def _when(moment_ms: int) -> str:
    return dt.datetime.fromtimestamp(moment_ms / 1_000, dt.UTC).isoformat(timespec="seconds")


def _features(evidence: ScoreEvidence) -> dict[str, Any]:
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
