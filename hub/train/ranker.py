"""A ranker for one placement: neighbours, item statistics and a LightGBM over what was known before each outcome.

    history --first part--> items (EASE, popularity, …) --replay of the rest--> rows --> a model to be judged
            --all of it---> items that are served        all rows ----------> the model that is served

The rows' items are fitted on earlier records only. The model that is served is fitted once more on all rows, and
served with items fitted on everything; only their strength has changed since, not their meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import InputError
from edgewise.features.table import FeatureTable
from edgewise.ids import ModelName
from edgewise.profile.state import DAY_MS
from hub.artefacts import Artefacts
from hub.ledger.rows import ModelStatus
from hub.linear_model import LinearModel
from hub.site.loading import SiteContents
from hub.site.overriding import recipe_in
from hub.site.recipes import RankerRecipe
from hub.train.boosting import Lesson, lesson_of
from hub.train.continuation import continuation_of
from hub.train.dataset import Progress, part, replayed_rows, sampled, together
from hub.train.exporting import exported, exported_bags, exported_line
from hub.train.fitting import fit, gains_of, scores_of, sureness_of
from hub.train.history import History
from hub.train.incremental import Parent, continue_ranker
from hub.train.items import NO_ITEMS, FittedItems, fit_items, items_known_by
from hub.train.judging import Judged, judge, model_ranks
from hub.train.logged import LoggedRows, logged_rows
from hub.train.positions import lesson_of_decisions
from hub.train.ranker_card import Evidence, ranker_card
from hub.train.rewards import Rewards, outcomes_of
from hub.train.shop import Shop, features_of, seat_of
from hub.train.site_scores import with_scores, with_scores_named
from hub.train.tuning import tuned
from hub.train.uncertainty import Bags

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger
    from hub.registry import ModelRegistry

FEWEST_OUTCOMES: Final = 100
"""Fewer cannot be told from chance, and are no reason to bother visitors."""


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


class How(msgspec.Struct, frozen=True):
    """In full, or from what came since an earlier version."""

    incremental: bool = False
    parent: int | None = None
    """The version to go on with; None: the latest that nobody retired or refused."""
    tune: int = 0
    """How many settings of the trees to try."""
    until_ms: int | None = None
    """Learn only from what happened before, so that what came later can judge it."""


def train_ranker(
    contents: SiteContents,
    ledger: Ledger,
    registry: ModelRegistry,
    name: ModelName,
    *,
    by: str,
    seed: int = 0,
    settings: Sequence[str] = (),
    how: How = How(),  # noqa: B008  # frozen
    progress: Progress = lambda _what, _done, _of: None,
) -> TrainedRanker:
    """Train the model `name` of a site from the ledger and register it; a person has to approve it.

    `how`: in full, or incrementally (`hub.train.incremental`). `settings` are `KEY=VALUE` over the site's recipe, as in
    `trees.rounds=100`.

    Raises:
        InputError: the site says nothing about training it, a setting is wrong, or there is too little history.
        ModelRefused: what came out would not be served as it was trained; nothing is registered.
    """
    from hub.train.history import read_history

    recipe = recipe_of(contents, name, settings)
    progress("reading the ledger", 0, 1)
    history = read_history(ledger, until_ms=how.until_ms)
    progress("reading the ledger", 1, 1)
    registered = contents.models[name].model
    made: MadeRanker
    with with_scores(contents, registry, name, recipe) as scored:
        if how.incremental and recipe.linear is not None:
            raise InputError("a line is fitted anew in a second; train it in full, not --incremental")
        if how.incremental and recipe.items_of is not None:
            raise InputError("a model that shares the items of another is trained in full, not --incremental")
        if how.incremental and recipe.uncertainty is not None:
            raise InputError("a model that says how sure it is has many boosters; train it in full, not --incremental")
        if how.incremental:
            parent = _parent(registry, registered, how.parent)
            made = MadeRanker(*continue_ranker(history, scored, name, recipe, parent, seed=seed, progress=progress))
        else:
            logged = _logged(ledger, history, contents, name, recipe, until_ms=how.until_ms)
            items = None if recipe.items_of is None else _items_of(contents, registry, recipe.items_of)
            made = make_ranker(
                history, scored, name, recipe, seed=seed, tune=how.tune, logged=logged, items=items, progress=progress
            )
    card = with_scores_named(made.card, scored)
    progress("registering", 0, 1)
    version = registry.register(registered, made.artefacts, card, by=by)
    progress("registering", 1, 1)
    row = registry.row(registered, version)
    return TrainedRanker(row.name, row.version, row.sha256, made.judged, card)


def _items_of(contents: SiteContents, registry: ModelRegistry, name: ModelName) -> FittedItems:
    use = contents.models.get(name)
    if use is None:
        raise InputError(f"`items_of` names {name!r}, which is no model of the site")
    return items_known_by(registry.artefacts(use.model, registry.resolve(use)))


def _parent(registry: ModelRegistry, name: ModelName, version: int | None) -> Parent:
    ended = {ModelStatus.RETIRED, ModelStatus.REFUSED}
    if version is None:
        usable = [row.version for row in registry.models(name) if row.status not in ended]
        if not usable:
            raise InputError(f"no version of {name} to go on with; train it in full first")
        version = max(usable)
    row = registry.row(name, version)
    if row.status in ended:
        raise InputError(f"{name}@{version} is {row.status}; go on with another version, or train in full")
    return Parent(version, row.sha256, registry.artefacts(name, version))


def recipe_of(contents: SiteContents, name: ModelName, settings: Sequence[str] = ()) -> RankerRecipe:
    """The site's recipe with `KEY=VALUE` settings over it. Raises InputError as `recipe_in`."""
    return recipe_in(contents.recipes, name, "train", settings)


def make_ranker(
    history: History,
    contents: SiteContents,
    name: ModelName,
    recipe: RankerRecipe,
    *,
    seed: int = 0,
    tune: int = 0,
    logged: LoggedRows | None = None,
    items: FittedItems | None = None,
    progress: Progress = lambda _what, _done, _of: None,
) -> MadeRanker:
    """Train, judge, export and compare with the edge's scorer. Same arguments, same bytes.

    `items`: what another model of the site knows about them, which is then looked at, and not brought.

    Raises as `train_ranker`.
    """
    if tune and recipe.linear is not None:
        raise InputError("--tune tries settings of trees, and the recipe says `linear`")
    through = int(len(history) * recipe.fit_share)
    outcomes = outcomes_of(history, recipe.outcome, through, recipe.most_outcomes)
    if len(outcomes) < FEWEST_OUTCOMES:
        raise InputError(
            f"{len(outcomes)} outcomes ({recipe.outcome.kind}) after the first {through:,} of {len(history):,} "
            f"records; expected at least {FEWEST_OUTCOMES}"
        )
    judged_from = _judged_from(history, recipe, outcomes, logged)
    rewards = Rewards(recipe.outcome, recipe.rewards)
    rewards.learn_refunds(history, judged_from=judged_from)
    if items is None:
        shop, *later = _shops(history, contents, name, recipe, progress)
    else:
        shop, later = Shop(contents, name, recipe, items), []
    replayed = replayed_rows(
        history,
        shop,
        rewards,
        since=through,
        whole_from=judged_from,
        most=recipe.most_outcomes,
        negatives=recipe.negatives,
        seed=seed,
        later=later,
        progress=progress,
    )
    is_late = replayed.rows.deed >= judged_from
    early, late = part(replayed.rows, ~is_late), part(replayed.rows, is_late)
    to_judge = part(late, np.isin(late.deed, outcomes))
    if not (early.choices and to_judge.choices):
        raise InputError(f"only {replayed.rows.choices} outcomes made rows; expected some to learn and some to judge")
    found = None
    if tune:
        found = tuned(early, shop.features, recipe.trees, k=shop.count, trials=tune, seed=seed, progress=progress)
    chosen = recipe if found is None else msgspec.structs.replace(recipe, trees=found.trees)
    rows = together(early, sampled(late, recipe.negatives, seed))
    learned, to_learn = lesson_of(early, shop.features), lesson_of(rows, shop.features)
    if recipe.decisions is not None:
        learned, to_learn = _of_decisions(history, recipe, shop.features, logged, judged_from)
    of_early, of_all = (None, None) if recipe.decisions is not None else (early.visitor, rows.visitor)
    trial = fit(learned, chosen, seed, unit=of_early, what="training to judge", progress=progress)
    ranks = model_ranks(to_judge, scores_of(trial, to_judge.matrix))
    judged = judge(to_judge, ranks, k=shop.count, is_known=_known(history, through), seed=seed)
    fitted = fit(to_learn, chosen, seed, unit=of_all, what="training", progress=progress)
    brought = fit_items(history, recipe, len(history), contents) if items is None else NO_ITEMS
    progress("comparing with the edge", 0, 1)
    if isinstance(fitted, Bags):
        made = exported_bags(fitted, rows.matrix, shop.features, brought, seed=seed)
    elif isinstance(fitted, LinearModel):
        is_uncertain = recipe.uncertainty is not None
        made = exported_line(fitted, rows.matrix, shop.features, brought, is_uncertain=is_uncertain, seed=seed)
    else:
        state = continuation_of(fitted, chosen.trees.objective, history)
        made = exported(fitted, rows.matrix, shop.features, brought, continuation=state, seed=seed)
    progress("comparing with the edge", 1, 1)
    evidence = Evidence(
        history=history,
        recipe=recipe,
        seat=shop.seat,
        features=shop.features,
        gains=gains_of(fitted, to_learn.matrix),
        rows=rows,
        through=through,
        judged_from=judged_from,
        unavailable=replayed.unavailable,
        judged=judged,
        parity=made.parity,
        seed=seed,
        tuned=found,
        decisions=None if recipe.decisions is None else len(to_learn.size),
        sureness=sureness_of(trial, to_judge.matrix),
    )
    return MadeRanker(made.artefacts, ranker_card(evidence), judged)


def _shops(
    history: History, contents: SiteContents, name: ModelName, recipe: RankerRecipe, progress: Progress
) -> list[Shop]:
    """The placement with items as they were known where rows begin, and at `refits - 1` later records, evenly apart."""
    through = int(len(history) * recipe.fit_share)
    throughs = np.linspace(through, len(history), recipe.refits, endpoint=False).astype(np.int64).tolist()
    shops = []
    for done, known in enumerate(dict.fromkeys(throughs)):
        progress("fitting items", done, len(throughs))
        shops.append(Shop(contents, name, recipe, fit_items(history, recipe, known, contents)))
    progress("fitting items", len(throughs), len(throughs))
    return shops


def _logged(
    ledger: Ledger,
    history: History,
    contents: SiteContents,
    name: ModelName,
    recipe: RankerRecipe,
    *,
    until_ms: int | None,
) -> LoggedRows | None:
    if recipe.decisions is None or not len(history):
        return None
    now_ms = history.deeds[-1].moment_ms
    since_ms = now_ms - recipe.decisions.days * DAY_MS
    columns = [feature.name for feature in features_of(contents.features, recipe).features]
    rewards = Rewards(recipe.outcome, recipe.rewards)
    placement = seat_of(contents, name, recipe).placement
    # as of the last thing that is known, so that the same ledger trains the same model tomorrow
    return logged_rows(
        ledger,
        placement,
        rewards,
        columns,
        since_ms=since_ms,
        until_ms=until_ms,
        policy=contents.policy,
        now_ms=now_ms,
    )


def _judged_from(history: History, recipe: RankerRecipe, outcomes: Sequence[int], logged: LoggedRows | None) -> int:
    """The first outcome that judges: of the last part of them; and where decisions teach, behind most of the decisions.

    Otherwise a placement that is new in an old shop would have all its decisions behind it, and nothing to learn from.
    """
    first = outcomes[int(len(outcomes) * (1 - recipe.validation_share))]
    if logged is None or not len(logged.time_ms):
        return first
    cut_ms = float(np.quantile(logged.time_ms, 1 - recipe.validation_share))
    behind = [number for number in outcomes if history.deeds[number].moment_ms >= cut_ms]
    return max(first, behind[0]) if behind else first


def _of_decisions(
    history: History, recipe: RankerRecipe, features: FeatureTable, logged: LoggedRows | None, judged_from: int
) -> tuple[Lesson, Lesson]:
    """What decisions before the outcomes that judge say, and what all of them say."""
    if logged is None or recipe.decisions is None:
        raise InputError("the recipe learns from decisions, and none were given")
    judged_ms, end_ms = history.deeds[judged_from].moment_ms, history.deeds[-1].moment_ms + 1
    return (
        lesson_of_decisions(logged, features, recipe.decisions, until_ms=judged_ms, fewest=FEWEST_OUTCOMES),
        lesson_of_decisions(logged, features, recipe.decisions, until_ms=end_ms, fewest=FEWEST_OUTCOMES),
    )


def _known(history: History, through: int) -> NDArray[np.bool_]:
    """(visitors,): who did something in the first `through` records."""
    return np.bincount([deed.visitor for deed in history.deeds[:through]], minlength=history.visitors) > 0
