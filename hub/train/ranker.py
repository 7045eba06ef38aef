"""A ranker for one placement: neighbours, item statistics and a LightGBM over what was known before each outcome.

    history --first part--> items (EASE, popularity, …) --replay of the rest--> rows --> a model to be judged
            --all of it---> items that are served        all rows ----------> the model that is served

The rows' items are fitted on earlier records only. The model that is served is fitted once more on all rows, and
served with items fitted on everything; only their strength has changed since, not their meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.golden import golden_rows
from edgewise.errors import MALFORMED, InputError, ModelRefused
from edgewise.features.table import FeatureTable
from edgewise.ids import ModelName
from hub.artefacts import Artefacts
from hub.parity import Parity, check_parity
from hub.scoring_child import ScoringChild
from hub.site.converting import convert
from hub.site.loading import SiteContents
from hub.site.recipes import RankerRecipe, TreeRecipe
from hub.train.dataset import Progress, RankingRows, outcomes_of, part, replayed_rows, sampled, together
from hub.train.history import History
from hub.train.items import fit_items
from hub.train.judging import Judged, judge, model_ranks
from hub.train.ranker_card import Evidence, ranker_card
from hub.train.shop import Shop

if TYPE_CHECKING:
    import lightgbm

    from hub.ledger.ledger import Ledger
    from hub.registry import ModelRegistry

FEWEST_OUTCOMES: Final = 100
"""Fewer cannot be told from chance, and are no reason to bother visitors."""
GOLDEN_ROWS: Final = 128
PARITY_ROWS: Final = 2_000
THREADS: Final = 1
"""Fixed, so that a model does not depend on the machine. More are slower where others use the cores: threads wait for
each other at every node of every tree."""
ADDITIVE: Final = 1e-4
"""Path attributions of a row add up to its score within this times max(1, |score|): float32 sums of every tree."""


class MadeRanker(NamedTuple):
    """A trained model with its evidence, not yet registered."""

    artefacts: Artefacts
    card: dict[str, Any]
    judged: dict[str, Judged]


class TrainedRanker(msgspec.Struct, frozen=True):
    """What `edgewise train ranker` reports."""

    model: ModelName
    version: int
    sha256: str
    judged: dict[str, Judged]
    card: dict[str, Any]


def train_ranker(
    contents: SiteContents,
    ledger: Ledger,
    registry: ModelRegistry,
    name: ModelName,
    *,
    by: str,
    seed: int = 0,
    settings: Sequence[str] = (),
    progress: Progress = lambda _what, _done, _of: None,
) -> TrainedRanker:
    """Train the model `name` of a site from the ledger and register it; a person has to approve it.

    `settings` are `KEY=VALUE` over the site's recipe, as in `trees.rounds=100`.

    Raises:
        InputError: the site says nothing about training it, a setting is wrong, or there is too little history.
        ModelRefused: what came out would not be served as it was trained; nothing is registered.
    """
    from hub.train.history import read_history

    recipe = recipe_of(contents, name, settings)
    progress("reading the ledger", 0, 1)
    history = read_history(ledger)
    progress("reading the ledger", 1, 1)
    made = make_ranker(history, contents, name, recipe, seed=seed, progress=progress)
    registered = contents.models[name].model
    progress("registering", 0, 1)
    version = registry.register(registered, made.artefacts, made.card, by=by)
    progress("registering", 1, 1)
    row = registry.row(registered, version)
    return TrainedRanker(row.name, row.version, row.sha256, made.judged, made.card)


def recipe_of(contents: SiteContents, name: ModelName, settings: Sequence[str] = ()) -> RankerRecipe:
    """The site's recipe with `KEY=VALUE` settings over it.

    Raises InputError: the site has no such model or no recipe for it, or a setting is wrong.
    """
    recipe = contents.recipes.get(name)
    if recipe is None:
        known = ", ".join(contents.recipes) or "none"
        raise InputError(f"the site has no `train` part in models/{name}.yaml; models with one: {known}")
    values: dict[str, Any] = msgspec.to_builtins(recipe)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"{setting!r} is not KEY=VALUE, as in trees.rounds=100")
        _set(values, key.strip(), text.strip())
    changed, wrong = convert(values, RankerRecipe)
    if changed is None:
        first = wrong[0]
        raise InputError(f"{'.'.join(map(str, first.path)) or 'the recipe'}: {first.message}")
    return changed


def make_ranker(
    history: History,
    contents: SiteContents,
    name: ModelName,
    recipe: RankerRecipe,
    *,
    seed: int = 0,
    progress: Progress = lambda _what, _done, _of: None,
) -> MadeRanker:
    """Train, judge, export and compare with the edge's scorer. Same arguments, same bytes.

    Raises as `train_ranker`.
    """
    through = int(len(history) * recipe.fit_share)
    outcomes = outcomes_of(history, recipe.outcome, through, recipe.most_outcomes)
    if len(outcomes) < FEWEST_OUTCOMES:
        raise InputError(
            f"{len(outcomes)} outcomes ({recipe.outcome.kind}) after the first {through:,} of {len(history):,} "
            f"records; expected at least {FEWEST_OUTCOMES}"
        )
    judged_from = outcomes[int(len(outcomes) * (1 - recipe.validation_share))]
    progress("fitting items", 0, 2)
    shop = Shop(contents, name, recipe, fit_items(history, recipe, through))
    progress("fitting items", 1, 2)
    replayed = replayed_rows(
        history,
        shop,
        recipe.outcome,
        since=through,
        whole_from=judged_from,
        most=recipe.most_outcomes,
        negatives=recipe.negatives,
        seed=seed,
        progress=progress,
    )
    is_late = replayed.rows.deed >= judged_from
    early, late = part(replayed.rows, ~is_late), part(replayed.rows, is_late)
    if not (early.choices and late.choices):
        raise InputError(f"only {replayed.rows.choices} outcomes made rows; expected some to learn and some to judge")
    trial = _train(early, recipe.trees, seed, "training to judge", progress)
    ranks = model_ranks(late, _raw(trial, late.matrix))
    is_known = np.bincount([deed.visitor for deed in history.deeds[:through]], minlength=history.visitors) > 0
    judged = judge(late, ranks, k=shop.count, is_known=is_known, seed=seed)
    rows = together(early, sampled(late, recipe.negatives, seed))
    booster = _train(rows, recipe.trees, seed, "training", progress)
    items = fit_items(history, recipe, len(history))
    progress("fitting items", 2, 2)
    progress("comparing with the edge", 0, 1)
    model, attribution, golden, parity = _exported(booster, rows, shop.features, seed)
    progress("comparing with the edge", 1, 1)
    artefacts = Artefacts(
        features=shop.features,
        model=model,
        golden=golden_rows(golden, _raw(booster, golden)),
        attribution=attribution,
        neighbours=items.neighbours_bytes,
        statistics=items.statistics,
    )
    evidence = Evidence(
        history=history,
        recipe=recipe,
        seat=shop.seat,
        features=shop.features,
        gains=[float(gain) for gain in booster.feature_importance("gain")],
        rows=rows,
        through=through,
        judged_from=judged_from,
        unavailable=replayed.unavailable,
        judged=judged,
        parity=parity,
        seed=seed,
    )
    return MadeRanker(artefacts, ranker_card(evidence), judged)


def _set(values: dict[str, Any], key: str, text: str) -> None:
    *folders, last = key.split(".")
    inside = values
    for folder in folders:
        if not isinstance(inside.get(folder), dict):
            raise InputError(f"no setting {key!r}: the recipe has no part {folder!r}; it has {', '.join(inside)}")
        inside = inside[folder]
    try:
        inside[last] = msgspec.json.decode(text)
    except MALFORMED:
        inside[last] = text


def _train(rows: RankingRows, trees: TreeRecipe, seed: int, what: str, progress: Progress) -> lightgbm.Booster:
    import lightgbm

    settings: Mapping[str, Any] = {
        **msgspec.structs.asdict(trees),
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": THREADS,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(
        rows.matrix,
        rows.label,
        group=rows.size if trees.objective == "lambdarank" else None,
        feature_name=list(rows.names),
    )

    def report(environment: Any) -> None:
        progress(what, environment.iteration + 1, trees.rounds)

    booster = lightgbm.train(
        {name: value for name, value in settings.items() if name != "rounds"},
        data,
        num_boost_round=trees.rounds,
        callbacks=[report],
    )
    if not booster.feature_importance("split").any():
        raise ModelRefused(
            "nothing-learned", f"no column tells wanted from other items in {len(rows):,} rows; nothing to serve"
        )
    return booster


def _raw(booster: lightgbm.Booster, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """What ranks: sums of leaves, float64 (n,). A probability would rank alike and round more."""
    return np.asarray(booster.predict(matrix, raw_score=True, num_threads=THREADS), np.float64)


def _exported(
    booster: lightgbm.Booster, rows: RankingRows, features: FeatureTable, seed: int
) -> tuple[bytes, bytes, NDArray[np.float32], Parity]:
    """Model, attribution twin, golden rows, and how the edge's scorer did."""
    from hub.export import export_booster
    from hub.export.attribution import export_attribution

    names = [feature.name for feature in features.features]
    model = export_booster(booster, feature_names=names, output="raw").SerializeToString(deterministic=True)
    attribution = export_attribution(booster, names).SerializeToString(deterministic=True)
    golden = _spread(rows.matrix, GOLDEN_ROWS)
    with ScoringChild() as child:
        base = _spread(rows.matrix, PARITY_ROWS)
        parity = check_parity(booster, model, base, output="raw", child=child, seed=seed)
        added = child.score(attribution, golden).sum(axis=1, dtype=np.float64)
    expected = _raw(booster, golden)
    error = float((np.abs(added - expected) / np.maximum(1.0, np.abs(expected))).max())
    if not error <= ADDITIVE:
        raise ModelRefused(
            "attribution", f"attributions miss a score by {error:.3g} * max(1, |y|); at most 1e-4 may be"
        )
    return model, attribution, golden, parity


def _spread(matrix: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """At most `most` rows, from everywhere."""
    return matrix[np.unique(np.linspace(0, len(matrix) - 1, most).astype(np.int64))]
