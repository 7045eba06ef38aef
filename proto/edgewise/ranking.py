"""The middle stage of a decision: scores, by rule or by model, one call of each model for all placements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from edgewise.bundle.policy import ByFormula, ByModel, ByPriority, Ranking
from edgewise.candidates import rule_scores
from edgewise.deadline import TimeIsUp
from edgewise.entry import Asked, Entry, Field
from edgewise.features.compile import CompiledFeatures, Matrix, Rows, joined
from edgewise.features.view import View
from edgewise.formula import Known, Numbers, features_in, ranker_in
from edgewise.ids import ModelName
from edgewise.policy import Scores
from edgewise.reasons import Degradation, Reason
from edgewise.scores import Score

_UNSCORED: Final = {
    Degradation.SCORER: Reason.FALLBACK_SCORER,
    Degradation.DEADLINE_SCORING: Reason.FALLBACK_DEADLINE,
}
"""Why no model was asked."""
_IN_ORDER: Final = ByPriority()


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
    errors: Scores | None = None
    """Standard errors of the scores, where the model says them; a formula over the model says none."""


def rank(
    entries: Sequence[Entry],
    fields: Sequence[Field | Reason],
    asked: Asked,
    score: Score,
    *,
    degradation: Degradation,
) -> tuple[list[Ranked | Reason], Degradation]:
    """Scores of every field, by rule, by model or by a formula over both, and the degradation to log.

    `degradation` is what was left out before. One model that fails, or is not asked because time is up, degrades all
    placements that a model ranks: a record says in one word what was left out, and a replay has to leave out the same.
    Raises ScoreFailed.
    """
    try:
        return _rank(entries, fields, asked, score, degradation)
    except TimeIsUp:
        # As a replay does it, which is told before it begins that no model may be asked any more.
        asked.end_ranking(Degradation.DEADLINE_SCORING)
        return _rank(entries, fields, asked, score, Degradation.DEADLINE_SCORING)


def ranker_of(ranking: Ranking) -> ModelName | None:
    """The model that an arm asks about its candidates; None where a rule ranks."""
    match ranking:
        case ByModel(model=model):
            return model
        case ByFormula(formula=formula):
            return ranker_in(formula)
        case _:
            return None


def _rank(
    entries: Sequence[Entry],
    fields: Sequence[Field | Reason],
    asked: Asked,
    score: Score,
    degradation: Degradation,
) -> tuple[list[Ranked | Reason], Degradation]:
    """As `rank`; raises TimeIsUp where a model is to be asked and there is no time for it."""
    ranked: list[Ranked | Reason] = []
    modelled: dict[ModelName, dict[int, Rows]] = {}
    for position, (entry, field) in enumerate(zip(entries, fields, strict=True)):
        if isinstance(field, Reason):
            ranked.append(field)
            continue
        rows, ranking = field.pool.rows.take(field.places), entry.assigned.arm.ranking
        model = ranker_of(ranking)
        if model is None:
            scores = rule_scores(field.pool, field.places, ranking, known_of(entry, field, asked))
            ranked.append(Ranked(asked.bundle.features, rows, scores))
        elif asked.question.degradation is Degradation.UNRANKED:
            ranked.append(Ranked(asked.bundle.features, rows, rule_scores(field.pool, field.places, _IN_ORDER)))
        else:
            modelled.setdefault(model, {})[position] = rows
            ranked.append(_UNSCORED.get(degradation, Reason.FALLBACK_SCORER))
    if not modelled or degradation in _UNSCORED:
        return ranked, degradation
    answered: dict[int, Ranked] = {}
    for model, parts in modelled.items():
        if asked.is_late():
            raise TimeIsUp
        # A model ranks only for visitors who may be known, so that all its placements read the same view.
        view = entries[next(iter(parts))].visitor.view
        scored = _scored(model, list(parts.values()), view, asked, score)
        if scored is None:
            return ranked, Degradation.SCORER
        answered.update(zip(parts, scored, strict=True))
    return [
        given
        if position not in answered
        else _formulated(answered[position], entries[position], fields[position], asked)
        for position, given in enumerate(ranked)
    ], degradation


def known_of(entry: Entry, field: Field, asked: Asked, output: Scores | None = None) -> Known | None:
    """What the arm's formula may ask about the candidates of a field; None where it has none.

    Features are those that a model would see, under the same grants; they are computed once, and only where the formula
    looks at some.
    """
    ranking = entry.assigned.arm.ranking
    if not isinstance(ranking, ByFormula):
        return None
    features, view, pool, places = asked.bundle.features, entry.visitor.view, field.pool, field.places
    columns = {name: features.column_of[name] for name in features_in(ranking.formula)}
    made: dict[str, Numbers] = {}

    def feature(name: str) -> Numbers:
        if not made:
            wanted = columns.values()
            matrix = features.matrix(view, pool.rows.take(places), asked.question.grants, wanted)
            made.update({name: matrix[:, column].astype(np.float64) for name, column in columns.items()})
        return made[name]

    return Known(lambda attribute: pool.numbers(attribute)[places], view.scores, feature, output)


def _formulated(ranked: Ranked, entry: Entry, field: Field | Reason, asked: Asked) -> Ranked:
    """What a model ranked, with the scores of the arm's formula over them where it has one."""
    ranking = entry.assigned.arm.ranking
    if not isinstance(ranking, ByFormula) or isinstance(field, Reason):
        return ranked
    scores = rule_scores(field.pool, field.places, ranking, known_of(entry, field, asked, ranked.scores))
    return msgspec.structs.replace(ranked, scores=scores, errors=None)


def _scored(model: ModelName, parts: list[Rows], view: View, asked: Asked, score: Score) -> list[Ranked] | None:
    """One call of one model for all its placements; None when it does not answer as it should.

    That is a finite score a row; of a model that knows its uncertainty, a score and its standard error.
    """
    features, loaded = asked.bundle.features, asked.bundle.models[model]
    matrix = features.matrix(view, joined(parts), asked.question.grants, loaded.features)
    if loaded.columns is not None:
        matrix = matrix.take(loaded.columns, axis=1)
    try:
        scores = np.asarray(score(model, matrix), np.float64)
    except Exception:  # noqa: BLE001  # the function is the caller's: it may raise anything
        return None
    errors: Scores | None = None
    if loaded.entry.uncertain and scores.shape == (len(matrix), 2):
        scores, errors = scores[:, 0], scores[:, 1]
    is_sound = scores.shape == (len(matrix),) and bool(np.isfinite(scores).all())
    if not is_sound or loaded.entry.uncertain is (errors is None):
        return None
    if errors is not None and not (np.isfinite(errors).all() and (errors >= 0).all()):
        return None
    ranked = []
    start = 0
    for rows in parts:
        end = start + len(rows)
        seen = Seen(model, loaded.entry.features, loaded.features, matrix[start:end])
        ranked.append(Ranked(features, rows, scores[start:end], seen, None if errors is None else errors[start:end]))
        start = end
    return ranked
