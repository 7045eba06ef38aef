"""The middle stage of a decision: scores, by rule or by model, one call of each model for all placements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.policy import ByModel
from edgewise.candidates import rule_scores
from edgewise.deadline import IsLate
from edgewise.entry import Asked, Entry, Field
from edgewise.features.compile import CompiledFeatures, Matrix, Rows, joined
from edgewise.features.view import View
from edgewise.ids import ModelName
from edgewise.policy import Scores
from edgewise.reasons import Degradation, Reason

Score = Callable[[ModelName, Matrix], NDArray[np.float32]]
"""Float32 (rows, features of the model) -> scores (rows,). May raise anything: the answer then degrades."""


_UNSCORED: Final = {
    Degradation.SCORER: Reason.FALLBACK_SCORER,
    Degradation.DEADLINE_SCORING: Reason.FALLBACK_DEADLINE,
}
"""Why no model was asked."""


class Seen(msgspec.Struct, frozen=True):
    """What a model saw of its candidates."""

    model: ModelName
    names: tuple[str, ...]
    columns: tuple[int, ...]
    matrix: Matrix


class Ranked(msgspec.Struct, frozen=True):
    """Candidates with their scores; `seen` is None where a rule ranked."""

    features: CompiledFeatures
    rows: Rows
    scores: Scores
    seen: Seen | None = None


def rank(
    entries: Sequence[Entry],
    fields: Sequence[Field | Reason],
    asked: Asked,
    score: Score,
    *,
    degradation: Degradation,
    is_late: IsLate,
) -> tuple[list[Ranked | Reason], Degradation]:
    """Scores of every field, by rule or by model, and the degradation to log.

    `degradation` is what was left out before. One model that fails, or is not asked because time is up, degrades all
    placements that a model ranks: a record says in one word what was left out, and a replay has to leave out the same.
    """
    ranked: list[Ranked | Reason] = []
    modelled: dict[ModelName, dict[int, Rows]] = {}
    for position, (entry, field) in enumerate(zip(entries, fields, strict=True)):
        if isinstance(field, Reason):
            ranked.append(field)
            continue
        rows, ranking = field.pool.rows.take(field.places), entry.assigned.arm.ranking
        if isinstance(ranking, ByModel) and asked.question.degradation is not Degradation.UNRANKED:
            modelled.setdefault(ranking.model, {})[position] = rows
            ranked.append(_UNSCORED.get(degradation, Reason.FALLBACK_SCORER))
        else:
            scores = rule_scores(field.pool, field.places, ranking)
            ranked.append(Ranked(asked.bundle.features, rows, scores))
    if not modelled or degradation in _UNSCORED:
        return ranked, degradation
    answered: dict[int, Ranked] = {}
    for model, parts in modelled.items():
        if is_late():
            late = {position: Reason.FALLBACK_DEADLINE for waiting in modelled.values() for position in waiting}
            return [late.get(position, given) for position, given in enumerate(ranked)], Degradation.DEADLINE_SCORING
        # A model ranks only for visitors who may be known, so that all its placements read the same view.
        view = entries[next(iter(parts))].visitor.view
        scored = _scored(model, list(parts.values()), view, asked, score)
        if scored is None:
            return ranked, Degradation.SCORER
        answered.update(zip(parts, scored, strict=True))
    return [answered.get(position, given) for position, given in enumerate(ranked)], degradation


def _scored(model: ModelName, parts: list[Rows], view: View, asked: Asked, score: Score) -> list[Ranked] | None:
    """One call of one model for all its placements; None when it does not answer with a finite score a row."""
    features, loaded = asked.bundle.features, asked.bundle.models[model]
    matrix = features.matrix(view, joined(parts), asked.question.grants)
    if loaded.columns is not None:
        matrix = matrix.take(loaded.columns, axis=1)
    try:
        scores = np.asarray(score(model, matrix), np.float64)
    except Exception:  # noqa: BLE001  # the function is the caller's: it may raise anything
        return None
    if scores.shape != (len(matrix),) or not np.isfinite(scores).all():
        return None
    ranked = []
    start = 0
    for rows in parts:
        end = start + len(rows)
        seen = Seen(model, loaded.entry.features, loaded.features, matrix[start:end])
        ranked.append(Ranked(features, rows, scores[start:end], seen))
        start = end
    return ranked
