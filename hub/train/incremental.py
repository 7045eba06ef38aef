"""A new day added to a trained ranker: its trees stay, some come behind them, and its items are fitted again.

    registry --parent: trees, items--> rows of what came since, as nodes described it --> trees behind the parent's
    history --all of it--> neighbours and statistics that are served

The day's rows are described with the parent's items, which were fitted before the day: that is how they were served,
and no row knows its own outcome. First the parent is judged on the day, then the day is learned from (prequential:
Dawid 1984, JRSS A 147; Gama, Sebastiao, Rodrigues 2013, Machine Learning 90): everything judges once before it teaches.
"""

from __future__ import annotations

import bisect
import datetime as dt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np

from edgewise.errors import InputError, ModelRefused
from edgewise.ids import ModelName
from hub.artefacts import Artefacts
from hub.site.loading import SiteContents
from hub.site.recipes import RankerRecipe
from hub.train.boosting import fit_trees, lesson_of, raw_scores
from hub.train.continuation import Continuation, continuation_of, decode_continuation, records_digest
from hub.train.dataset import Progress, part, replayed_rows, sampled
from hub.train.exporting import exported
from hub.train.history import History
from hub.train.items import FittedItems, fit_items
from hub.train.judging import Judged, above, judge, model_ranks
from hub.train.ranker_card import Evidence, Lineage, ranker_card
from hub.train.rewards import Rewards
from hub.train.shop import Shop, features_of

if TYPE_CHECKING:
    import lightgbm

MOST_JUDGED: Final = 2_000
"""Outcomes, the latest, whose candidates are all ranked; a day has fewer, and a month is judged well by them."""


class Parent(NamedTuple):
    """The model to go on with."""

    version: int
    sha256: str
    artefacts: Artefacts

    @property
    def name(self) -> str:
        """In sentences."""
        return f"version {self.version}"


class Continued(NamedTuple):
    """A model with the new day, not yet registered."""

    artefacts: Artefacts
    card: dict[str, Any]
    judged: dict[str, Judged]


def continue_ranker(
    history: History,
    contents: SiteContents,
    name: ModelName,
    recipe: RankerRecipe,
    parent: Parent,
    *,
    seed: int = 0,
    progress: Progress = lambda _what, _done, _of: None,
) -> Continued:
    """Learn what came after everything that `parent` knew. Same arguments, same bytes.

    Raises:
        InputError: nothing, or too little, has come since; or the site's features or objective are no longer the
            parent's; or there would be too many trees.
        ModelRefused: the parent cannot be continued, or what came out is worse than it on what it has not seen.
    """
    known = decode_continuation(parent.artefacts.continuation, f"{name}, {parent.name},")
    booster = _checked(contents, recipe, parent, known)
    since = bisect.bisect_right(history.deeds, known.through_ms, key=lambda deed: deed.moment_ms)
    rewards = Rewards(recipe.outcome, recipe.rewards)
    outcomes = Rewards(recipe.outcome).outcomes(history, since, recipe.most_outcomes)
    fewest = recipe.incremental.fewest_outcomes
    if len(outcomes) < fewest:
        raise InputError(
            f"{len(outcomes)} outcomes ({recipe.outcome.kind}) in the {len(history) - since:,} records since "
            f"{_moment(known.through_ms)}, up to which {name}, {parent.name}, knew everything; "
            f"expected at least {fewest}. That version stays"
        )
    judged_from = outcomes[max(int(len(outcomes) * (1 - recipe.validation_share)), len(outcomes) - MOST_JUDGED)]
    rewards.learn_refunds(history, judged_from=judged_from)
    before = FittedItems(
        since,
        parent.artefacts.neighbours,
        dict(parent.artefacts.statistics),
        parent.artefacts.sets,
        parent.artefacts.sessions,
    )
    shop = Shop(contents, name, recipe, before)
    replayed = replayed_rows(
        history,
        shop,
        rewards,
        since=since,
        whole_from=outcomes[-MOST_JUDGED:][0],
        most=recipe.most_outcomes,
        negatives=recipe.negatives,
        seed=seed,
        progress=progress,
    )
    added = msgspec.structs.replace(recipe.trees, rounds=recipe.incremental.rounds)
    rows = sampled(replayed.rows, recipe.negatives, seed)
    late = part(replayed.rows, (replayed.rows.deed >= judged_from) & np.isin(replayed.rows.deed, outcomes))
    early = part(rows, rows.deed < judged_from)
    if not (early.choices and late.choices):
        raise InputError(f"only {rows.choices} outcomes made rows; expected some to learn and some to judge")
    learned, to_learn = lesson_of(early, shop.features), lesson_of(rows, shop.features)
    trial = fit_trees(learned, added, seed, what="training to judge", progress=progress, parent=booster)
    ranks = model_ranks(late, raw_scores(trial, late.matrix))
    is_known = np.bincount([deed.visitor for deed in history.deeds[:since]], minlength=history.visitors) > 0
    judged = judge(late, ranks, k=shop.count, is_known=is_known, seed=seed)
    gained = above(late, ranks, model_ranks(late, raw_scores(booster, late.matrix)), k=shop.count, seed=seed)
    if gained.ci_high < 0:
        raise ModelRefused(
            "worse-than-parent",
            f"the hit rate on {late.choices:,} later outcomes is {-gained.estimate:.4f} below that of {parent.name}, "
            f"and surely below it; that version stays",
        )
    judged["all"].measures[f"hit_rate@{shop.count} above the parent"] = gained
    whole = part(replayed.rows, np.isin(replayed.rows.deed, outcomes[-MOST_JUDGED:]))
    first = judge(
        whole, model_ranks(whole, raw_scores(booster, whole.matrix)), k=shop.count, is_known=is_known, seed=seed
    )
    judged["all since, by the parent"] = first["all"]
    made = fit_trees(to_learn, added, seed, what="training", progress=progress, parent=booster)
    progress("fitting items", 0, 1)
    items = fit_items(history, recipe, len(history), contents)
    progress("fitting items", 1, 1)
    files = exported(
        made,
        rows.matrix,
        shop.features,
        items,
        continuation=continuation_of(made, recipe.trees.objective, history),
        seed=seed,
    )
    evidence = Evidence(
        history=history,
        recipe=recipe,
        seat=shop.seat,
        features=shop.features,
        gains=[float(gain) for gain in made.feature_importance("gain")],
        rows=rows,
        through=since,
        judged_from=judged_from,
        unavailable=replayed.unavailable,
        judged=judged,
        parity=files.parity,
        seed=seed,
        lineage=Lineage(
            parent.version,
            parent.sha256,
            records_then=known.records,
            is_past_unchanged=since == known.records and records_digest(history, since) == known.records_sha256,
            trees_added=made.num_trees() - booster.num_trees(),
        ),
    )
    return Continued(files.artefacts, ranker_card(evidence), judged)


def _checked(contents: SiteContents, recipe: RankerRecipe, parent: Parent, known: Continuation) -> lightgbm.Booster:
    """The parent's trees, where they can still be added to."""
    import lightgbm

    if recipe.decisions is not None:
        raise InputError("a model that learns from decisions is trained in full; they are the latest days already")
    if features_of(contents.features, recipe) != parent.artefacts.features:
        raise InputError(f"the features are not those of {parent.name}: a tree's columns cannot change; train in full")
    if recipe.trees.objective != known.objective:
        wanted = recipe.trees.objective
        raise InputError(f"{parent.name} was trained as {known.objective}, and the site says {wanted}; train in full")
    booster = lightgbm.Booster(model_str=known.trees)
    trees = booster.num_trees() + recipe.incremental.rounds
    if trees > recipe.incremental.most_trees:
        raise InputError(
            f"with {recipe.incremental.rounds} more {parent.name} would have {trees:,} trees; "
            f"at most {recipe.incremental.most_trees:,} may be (incremental.most_trees); train in full"
        )
    return booster


def _moment(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms / 1_000, dt.UTC).isoformat(timespec="seconds")
