"""The visitor scores that a ranker's rows depend on: asked while its training replays visitors, as nodes ask them.

The very versions that the site's next release would take, by the scorer that serves, in a child process. A score that
was trained on the same history has seen outcomes that the ranker is judged on, which its card says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.manifest import ModelEntry
from edgewise.bundle.policy import Compare, Every, Not, Rule, Some
from edgewise.errors import InputError, ModelRefused
from edgewise.features.table import Cross, Feature, FeatureTable, Score, ScoreMatch
from edgewise.ids import ModelName
from edgewise.rules import reference, score_in
from edgewise.scores import ScoreFailed
from hub.scoring_child import ScoringChild
from hub.site.loading import SiteContents, SiteScores
from hub.site.recipes import RankerRecipe
from hub.train.shop import features_of, seat_of

if TYPE_CHECKING:
    from hub.artefacts import Artefacts
    from hub.registry import ModelRegistry


@contextmanager
def with_scores(
    contents: SiteContents, registry: ModelRegistry, ranker: ModelName, recipe: RankerRecipe
) -> Iterator[SiteContents]:
    """The site with the scores that a ranker's features and the rules of its placement look at.

    Raises:
        InputError: such a score is no model of the site, or not yet trained, approved and promoted.
        ModelRefused: `score`: it is no visitor score, or it does not answer; `features`: it takes some that the site
            lacks.
    """
    versions: dict[ModelName, int] = {}
    found: dict[ModelName, Artefacts] = {}
    rules = contents.policy.placements[seat_of(contents, ranker, recipe).placement].eligibility
    declared = {feature.name: feature for feature in contents.features.features}
    waiting = [*_asked_by(features_of(contents.features, recipe), declared), *_asked_by_rules(rules)]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        use = contents.models.get(name)
        if use is None:
            raise InputError(f"a feature or rule asks the score {name!r}, which is no model of the site")
        versions[name] = registry.resolve(use)
        found[name] = registry.artefacts(use.model, versions[name])
        missing = [feature.name for feature in found[name].features.features if feature.name not in declared]
        if missing:
            raise ModelRefused("features", f"the score {name!r} was trained on {missing[0]!r}, which the site lacks")
        waiting += _asked_by(found[name].features, declared)
    if not found:
        yield contents
        return
    entries = {name: _entry(name, artefacts) for name, artefacts in found.items()}
    named = {name: f"{contents.models[name].model}@{version}" for name, version in versions.items()}
    with ScoringChild() as child:

        def score(model: ModelName, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
            onnx = found[model].model
            assert onnx is not None
            said = child.score(onnx, matrix)
            is_column = not entries[model].classes and said.ndim == 2  # noqa: PLR2004  # [N, 1], as converters write
            return said[:, 0] if is_column else said

        try:
            yield contents._replace(scores=SiteScores(entries, score, named))
        except ScoreFailed as failed:
            cause = failed.__cause__ or "its answer is no finite number"
            raise ModelRefused("score", f"the score {failed} does not answer in training: {cause}") from failed


def with_scores_named(card: dict[str, Any], scored: SiteContents) -> dict[str, Any]:
    """A ranker's card that names the scores which its rows were made with; as it was where there are none."""
    if not scored.scores.versions:
        return card
    limit = (
        "Visitor scores that were trained on the same records had seen outcomes of the time on which this model was "
        "judged, so that its figures may flatter it."
    )
    return card | {
        "scores": dict(scored.scores.versions),
        "known_limits": [*card.get("known_limits", []), limit],
    }


def _asked_by(taken: FeatureTable, declared: Mapping[str, Feature]) -> Iterator[ModelName]:
    for feature in taken.features:
        for part in [declared[name] for name in feature.of] if isinstance(feature, Cross) else [feature]:
            if isinstance(part, Score | ScoreMatch):
                yield part.model


def _asked_by_rules(rules: list[Rule]) -> Iterator[ModelName]:
    for rule in rules:
        match rule:
            case Every(rules=parts) | Some(rules=parts):
                yield from _asked_by_rules(parts)
            case Not(rule=part):
                yield from _asked_by_rules([part])
            case Compare():
                named = [score_in(path) for path in (rule.of, reference(rule.to) or "")]
                yield from (score.model for score in named if score is not None)


def _entry(name: ModelName, artefacts: Artefacts) -> ModelEntry:
    kind = artefacts.kind
    if artefacts.model is None or kind.kind != "score":
        raise ModelRefused("score", f"a feature or rule asks the score {name!r}, but that model ranks candidates")
    columns = tuple(feature.name for feature in artefacts.features.features)
    return ModelEntry("", columns, kind=kind.kind, classes=kind.classes)
