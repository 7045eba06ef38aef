"""`edgewise train score`: from the ledger to a registered, calibrated score of visitors.

    history --> moments with answers --replay--> rows --by time--> learn | calibrate | judge
    trees from `learn`, sigmoid from `calibrate`           -> judged on `judge`
    trees from `learn` and `calibrate`, sigmoid from `judge` -> what is served

What is judged and what is served are made alike, the second one part later: its own calibration cannot be measured by
the rows that it was calibrated with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.golden import golden_rows
from edgewise.errors import InputError
from edgewise.features.encodings import is_categorical
from edgewise.features.table import FeatureTable
from edgewise.ids import ModelName
from hub.artefacts import Artefacts, Kind
from hub.export.calibration import Platt
from hub.export.forest import read_forest
from hub.parity import Parity, compare, parity_rows, telling_rows
from hub.scoring_child import ScoringChild
from hub.site.checking_scores import wrong_column
from hub.site.loading import SiteContents
from hub.site.overriding import recipe_in
from hub.site.score_recipe import Abandonment, ScoreRecipe, TraitScore
from hub.train.dataset import Progress
from hub.train.history import History
from hub.train.scores.card import ScoreEvidence, score_card
from hub.train.scores.examples import Examples, examples_of
from hub.train.scores.judging import JudgedScore, Prior, judge_score
from hub.train.scores.learning import Learned, learned
from hub.train.scores.rows import Matrix, ScoreRows, by_time, by_visitor, replayed, together

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger
    from hub.registry import ModelRegistry

GOLDEN_ROWS: Final = 128
PARITY_ROWS: Final = 2_000


class MadeScore(NamedTuple):
    """A trained score with its evidence, not yet registered."""

    artefacts: Artefacts
    card: dict[str, Any]
    judged: JudgedScore
    evidence: ScoreEvidence


class TrainedScore(msgspec.Struct, frozen=True):
    """What `edgewise train score` reports."""

    model: ModelName
    version: int
    sha256: str
    classes: tuple[str, ...]
    judged: JudgedScore
    card: dict[str, Any]


def train_score(
    contents: SiteContents,
    ledger: Ledger,
    registry: ModelRegistry,
    name: ModelName,
    *,
    by: str,
    seed: int = 0,
    settings: Sequence[str] = (),
    progress: Progress = lambda _what, _done, _of: None,
) -> tuple[TrainedScore, ScoreEvidence]:
    """Train the score `name` of a site from the ledger and register it; a person has to approve it.

    `settings` are `KEY=VALUE` over the site's recipe, as in `trees.rounds=100`.

    Raises:
        InputError: the site says nothing about training it, a setting is wrong, or there is too little history.
        ModelRefused: nothing was learned, or what came out would not be served as it was trained. Nothing is
            registered.
    """
    from hub.train.history import read_history

    recipe = score_recipe_of(contents, name, settings)
    progress("reading the ledger", 0, 1)
    history = read_history(ledger, with_bodies=isinstance(recipe.predicts, Abandonment))
    progress("reading the ledger", 1, 1)
    made = make_score(history, contents, name, recipe, seed=seed, progress=progress)
    registered = contents.models[name].model
    progress("registering", 0, 1)
    version = registry.register(registered, made.artefacts, made.card, by=by)
    progress("registering", 1, 1)
    row = registry.row(registered, version)
    trained = TrainedScore(row.name, row.version, row.sha256, made.artefacts.kind.classes, made.judged, made.card)
    return trained, made.evidence


def score_recipe_of(contents: SiteContents, name: ModelName, settings: Sequence[str] = ()) -> ScoreRecipe:
    """The site's recipe with `KEY=VALUE` settings over it. Raises InputError as `recipe_in`."""
    return recipe_in(contents.score_recipes, name, "score", settings)


def make_score(
    history: History,
    contents: SiteContents,
    name: ModelName,
    recipe: ScoreRecipe,
    *,
    seed: int = 0,
    progress: Progress = lambda _what, _done, _of: None,
) -> MadeScore:
    """Learn, calibrate, judge, export and compare with the edge's scorer. Same arguments, same bytes.

    `history` must hold the bodies of events where carts are asked about. Raises as `train_score`.
    """
    if not len(history):
        raise InputError("the ledger holds nothing that visitors did and agreed to; there is nothing to learn from")
    table = columns_of(contents.features, recipe)
    progress("looking for moments", 0, 1)
    examples = examples_of(history, recipe, seed=seed)
    progress("looking for moments", 1, 1)
    matrix, is_asked = replayed(history, contents, table, examples.moments, progress=progress)
    whole = _rows(table, matrix, examples)
    rows = whole.take(is_asked)
    divide = by_visitor if isinstance(recipe.predicts, TraitScore) else by_time
    parts = divide(rows, recipe.calibration_share, recipe.validation_share)
    is_binary = not examples.classes
    categorical = [feature.name for feature in table.features if is_categorical(feature)]
    trial = learned(
        parts.learn,
        parts.calibrate,
        recipe.trees,
        is_binary=is_binary,
        categorical=categorical,
        seed=seed,
        what="training to judge",
        progress=progress,
    )
    judged = judge_score(
        parts.judge,
        trial.probabilities(parts.judge.matrix),
        trial.uncalibrated(parts.judge.matrix),
        classes=examples.classes,
        prior=Prior(parts.learn.belief.mean(axis=0)),
        # `place` counts every moment, those that nobody was asked at too
        last=None if examples.last is None else examples.last[parts.judge.place],
        seed=seed,
    )
    served = learned(
        together(parts.learn, parts.calibrate),
        parts.judge,
        recipe.trees,
        is_binary=is_binary,
        categorical=categorical,
        seed=seed,
        progress=progress,
    )
    progress("comparing with the edge", 0, 1)
    model, parity = _exported(served, rows.matrix, table, seed)
    progress("comparing with the edge", 1, 1)
    golden = telling_rows(read_forest(served.booster), rows.matrix, count=GOLDEN_ROWS, seed=seed)
    artefacts = Artefacts(
        features=table,
        model=model,
        golden=golden_rows(golden, _told(served, golden)),
        kind=Kind("score", examples.classes),
    )
    evidence = ScoreEvidence(
        name=name,
        history=history,
        recipe=recipe,
        features=table,
        gains=[float(gain) for gain in served.booster.feature_importance("gain")],
        examples=examples,
        parts=parts,
        judged=judged,
        calibration=served.calibration,
        parity=parity,
        seed=seed,
    )
    return MadeScore(artefacts, score_card(evidence), judged, evidence)


def columns_of(table: FeatureTable, recipe: ScoreRecipe) -> FeatureTable:
    """The columns that a score takes, in its order; in the table's where it names none.

    Raises InputError for a column that it names and cannot use; `site check` says so with file and line.
    """
    declared = {feature.name: feature for feature in table.features}
    if recipe.features is None:
        taken = [feature for feature in table.features if wrong_column(feature, recipe) is None]
    else:
        for name in recipe.features:
            wrong = wrong_column(declared[name], recipe) if name in declared else "the site does not declare it"
            if wrong is not None:
                raise InputError(f"the feature {name!r} cannot be used: {wrong}")
        taken = [declared[name] for name in recipe.features]
    if not taken:
        raise InputError("the site declares no feature of visitors; a score needs one")
    return FeatureTable(taken)


def _rows(table: FeatureTable, matrix: Matrix, examples: Examples) -> ScoreRows:
    moments = examples.moments
    return ScoreRows(
        names=tuple(feature.name for feature in table.features),
        matrix=matrix,
        belief=examples.belief,
        visitor=np.array([moment.visitor for moment in moments], np.int64),
        now_ms=np.array([moment.now_ms for moment in moments], np.int64),
        known_ms=np.array([moment.known_ms for moment in moments], np.int64),
        place=np.arange(len(moments)),
    )


def _exported(served: Learned, matrix: Matrix, table: FeatureTable, seed: int) -> tuple[bytes, Parity]:
    from hub.export.booster import export_booster
    from hub.export.shared_slope import export_softmax

    names, found = [feature.name for feature in table.features], served.calibration
    exported = (
        export_booster(served.booster, feature_names=names, output="probability", calibration=found)
        if isinstance(found, Platt)
        else export_softmax(served.booster, feature_names=names, slope=found.slope, shift=found.shift)
    )
    model: bytes = exported.SerializeToString(deterministic=True)
    tried = parity_rows(read_forest(served.booster), _spread(matrix, PARITY_ROWS), seed=seed)
    with ScoringChild() as child:
        parity = compare(_told(served, tried), child.score(model, tried))
    return model, parity


def _told(served: Learned, matrix: Matrix) -> NDArray[np.float64]:
    """What the model should answer: (n,) of one probability, else (n, K)."""
    return served.calibration.probabilities(served.raw(matrix))


def _spread(matrix: Matrix, most: int) -> Matrix:
    """At most `most` rows, from everywhere."""
    return matrix[np.unique(np.linspace(0, len(matrix) - 1, most).astype(np.int64))]
