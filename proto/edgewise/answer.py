"""The last stages of a decision: from scores to a slate, its explanation, and what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from edgewise.bundle.exploration import Exploration
from edgewise.bundle.policy import ByFormula, External
from edgewise.consent import Grants
from edgewise.decision import NOTHING as NO_ITEM
from edgewise.decision import Assignment, ChosenItem, ChosenNothing, PlacementDecision, Why
from edgewise.draws import Draw
from edgewise.eligibility import attributes_of
from edgewise.entry import Asked, Entry, Field
from edgewise.explain import (
    MOST_REASONS,
    Attribute,
    Shown,
    attributions_of,
    telling,
    told_ranking,
    why_modelled,
    why_nothing,
    why_plain,
    why_ruled,
)
from edgewise.explain_rules import why_derived, why_formulated
from edgewise.features.compile import Rows
from edgewise.formula import features_in
from edgewise.ids import ItemId
from edgewise.policy import GREEDY, NOTHING, UNLIMITED, Limits, Slate, propensities_of, slate
from edgewise.ranking import Ranked, known_of, ranker_of
from edgewise.reasons import Reason
from edgewise.records import FeatureRows
from edgewise.rules import Attributes


class Choice(msgspec.Struct, frozen=True):
    """How one placement chooses from its ranked candidates: all that its propensities depend on beside the scores."""

    exploration: Exploration
    limits: Limits


class Answer(msgspec.Struct, frozen=True):
    """A placement's decision, and the candidates that it was chosen from: `places` of items, first slot first."""

    entry: Entry
    decision: PlacementDecision
    ranked: Ranked | None = None
    places: list[int] = []
    choice: Choice | None = None
    """None where nothing was chosen: items were forced, or fallen back to."""


_GREEDILY: Final = Choice(GREEDY, UNLIMITED)


def choice_of(entry: Entry, field: Field | Reason, ranked: Ranked) -> Choice:
    """How the arm of an entry chooses. Who can be chosen at all was settled before; what is alike is looked up here."""
    placement, arm = entry.placement, entry.assigned.arm
    exploration = arm.exploration
    is_unranked = ranked.seen is None and _is_unranked(entry, ranked)
    if placement.safe or placement.learning == "logging-only" or not entry.assigned.is_personal or is_unranked:
        # Who may not be personalised is not learned from either, so there is nothing to explore for; and around an
        # order that is not the arm's there is nothing to learn of the arm.
        exploration = GREEDY
    if not (placement.exploration_budget < 1 or placement.may_be_empty or placement.diversity is not None):
        return _GREEDILY if exploration is GREEDY else Choice(exploration, UNLIMITED)
    limits = UNLIMITED
    if placement.exploration_budget < 1:
        limits = limits._replace(budget=placement.exploration_budget)
    if placement.may_be_empty and arm.nothing is not msgspec.UNSET and not is_unranked:
        # In an order that is not the arm's its scores mean nothing, and neither does that of showing nothing.
        limits = limits._replace(nothing=arm.nothing.score)
    if placement.diversity is not None and isinstance(field, Field):
        kinds = field.pool.kinds(placement.diversity.attribute)
        alike = [kinds[place] for place in field.places.tolist()]
        limits = limits._replace(kinds=alike, most=placement.diversity.most)
    return Choice(exploration, limits)


def _is_unranked(entry: Entry, ranked: Ranked) -> bool:
    """Whether load left no time for the arm's model, so that candidates which no model saw are not in its order."""
    return ranked.seen is None and ranker_of(entry.assigned.arm.ranking) is not None


def answer(
    entry: Entry,
    field: Field | Reason,
    ranked: Ranked | Reason,
    asked: Asked,
    *,
    attribute: Attribute | None,
    draw: Draw,
) -> Answer:
    """Choose from the ranked candidates of one placement, those of `field`, or fall back."""
    if isinstance(ranked, Reason):
        return Answer(entry, _unranked(entry, ranked, asked))
    name, choice = entry.request.name, choice_of(entry, field, ranked)
    chosen = slate(
        ranked.scores,
        entry.count,
        choice.exploration,
        lambda slot: draw(name, slot),
        errors=ranked.errors,
        limits=choice.limits,
    )
    base = entry.assigned.reason or (Reason.RULE if ranked.seen is None else Reason.MODEL)
    if ranked.seen is None and _is_unranked(entry, ranked):
        base = Reason.FALLBACK_OVERLOAD
    reason = base if all(chosen.is_greedy) else Reason.EXPLORE
    nothing: ChosenNothing | msgspec.UnsetType = msgspec.UNSET
    if choice.limits.nothing is not None:
        nothing, chosen = _emptied(chosen, choice.limits.nothing, base, asked)
    reasons = [base if is_greedy else Reason.EXPLORE for is_greedy in chosen.is_greedy]
    rows = ranked.rows.take(np.array(chosen.places, np.intp))
    whys: list[tuple[Why, ...]] = [()] * len(reasons)
    if asked.question.explain:
        whys = _whys(entry, field, ranked, chosen, reasons, asked=asked, attribute=attribute)
    items = tuple(
        ChosenItem(
            id=item,
            rank=slot + 1,
            reason=reasons[slot],
            score=float(ranked.scores[place]),
            propensity=chosen.propensities[slot],
            content_digest=_digest(item, entry, asked),
            why=whys[slot],
        )
        for slot, (item, place) in enumerate(zip(ranked.features.ids(rows), chosen.places, strict=True))
    )
    if entry.placement.format or asked.bundle.variants:
        items = tuple(_worded(item, entry, asked) for item in items)
    decision = PlacementDecision(items, reason, entry.assigned.name, entry.assigned.experiment, nothing)
    return Answer(entry, decision, ranked, chosen.places, choice)


def slate_propensities(given: Answer, items: Sequence[ItemId]) -> list[float]:
    """With which probability each slot would have got these items, first slot first, given those before it.

    `decision.NOTHING`, always the last, is to show nothing. For whoever asks how probably one policy would have done
    what another did: an item that was no candidate has 0. What was forced or fallen back to had no alternative, nor had
    an arm that leaves the page its own: it shows nothing for certain.
    """
    ranked, choice = given.ranked, given.choice
    if ranked is None or choice is None:
        own = [item.id for item in given.decision.items] or [NO_ITEM]
        return [1.0 if own[slot : slot + 1] == [item] else 0.0 for slot, item in enumerate(items)]
    place_of = {item: place for place, item in enumerate(ranked.features.ids(ranked.rows))}
    places = [NOTHING if item == NO_ITEM else place_of.get(item) for item in items]
    return propensities_of(ranked.scores, choice.exploration, places, errors=ranked.errors, limits=choice.limits)


def _emptied(
    chosen: Slate, score: float, base: Reason, asked: Asked
) -> tuple[ChosenNothing | msgspec.UnsetType, Slate]:
    """The slot that was left empty, and the slate of items before it."""
    if not chosen.places or chosen.places[-1] != NOTHING:
        return msgspec.UNSET, chosen
    reason = base if chosen.is_greedy[-1] else Reason.EXPLORE
    nothing = ChosenNothing(
        rank=len(chosen.places),
        reason=reason,
        score=score,
        propensity=chosen.propensities[-1],
        why=why_nothing(reason) if asked.question.explain else (),
    )
    return nothing, Slate(chosen.places[:-1], chosen.propensities[:-1], chosen.is_greedy[:-1])


def _whys(
    entry: Entry,
    field: Field | Reason,
    ranked: Ranked,
    chosen: Slate,
    reasons: list[Reason],
    *,
    asked: Asked,
    attribute: Attribute | None,
) -> list[tuple[Why, ...]]:
    features, seen, ranking = ranked.features, ranked.seen, entry.assigned.arm.ranking
    if seen is None and ranker_of(ranking) is not None:
        return [why_plain(reason) for reason in reasons]
    derived: list[tuple[Why, ...]] = [()] * len(reasons)
    places = np.array(chosen.places, np.intp)
    if entry.catalogued.rules.derived:
        derived = [
            why_derived(entry.catalogued.rules, item, _attributes_at(ranked.rows, place, asked), entry.visitor.facts)
            for item, place in zip(features.ids(ranked.rows.take(places)), chosen.places, strict=True)
        ]
    if seen is None:
        formulated = _formulated(entry, field, ranked, chosen, asked)
        has_history = bool(entry.visitor.view.profile.items)
        ruled = why_ruled(told_ranking(entry.assigned.arm, has_history=has_history), features)
        return [
            why_plain(reason)
            if reason is Reason.EXPLORE
            else (why_plain(reason) + because + (shaped or (() if because else ruled)))[:MOST_REASONS]
            for reason, because, shaped in zip(reasons, derived, formulated, strict=True)
        ]
    matrix = seen.matrix.take(places, axis=0)
    attributions = attributions_of(attribute, seen.model, matrix) if Reason.MODEL in reasons else None
    shown = Shown(ranked.rows.take(places), matrix, seen.columns, attributions)
    ruled = why_ruled(ranking, features) if isinstance(ranking, ByFormula) else ()
    return [
        (derived[slot] + ruled + why_modelled(features, entry.visitor.view, shown, slot))[:MOST_REASONS]
        if reason is Reason.MODEL
        else why_plain(reason)
        for slot, reason in enumerate(reasons)
    ]


def _formulated(
    entry: Entry, field: Field | Reason, ranked: Ranked, chosen: Slate, asked: Asked
) -> list[tuple[Why, ...]]:
    """What the features of the arm's formula say for each chosen item; nothing where it looks at none."""
    nothing: list[tuple[Why, ...]] = [()] * len(chosen.places)
    ranking, features, view = entry.assigned.arm.ranking, ranked.features, entry.visitor.view
    if isinstance(field, Reason) or not isinstance(ranking, ByFormula) or not features_in(ranking.formula):
        return nothing
    known = known_of(entry, field, asked)
    assert known is not None
    return [
        why_formulated(
            ranking.formula,
            known,
            place,
            features.features,
            telling(features, view, ranked.rows.take(np.array([place], np.intp))),
        )
        for place in chosen.places
    ]


def _attributes_at(rows: Rows, place: int, asked: Asked) -> Attributes:
    if rows.brought is not None:
        return attributes_of(asked.bundle.items, rows.brought[place])
    return asked.bundle.items.attributes(int(rows.codes[place]))


def _unranked(entry: Entry, reason: Reason, asked: Asked) -> PlacementDecision:
    """A placement that no ranking decides: forced items, or what is shown when nothing else can be."""
    forced = asked.question.force.get(entry.request.name)
    experiment = entry.assigned.experiment
    ids: list[ItemId] = []
    if reason is Reason.FORCED and isinstance(forced, list):
        ids = [item for item in dict.fromkeys(forced) if _may_show(item, entry, asked)][: entry.count]
        reason = reason if ids else Reason.FALLBACK_NO_CANDIDATE
        experiment = None if experiment is None else Assignment(experiment.key, experiment.arm, forced=True)
    if not ids and not isinstance(entry.assigned.arm.ranking, External):
        ids = _fallback(entry, asked)
    why = why_plain(reason) if asked.question.explain else ()
    items = tuple(
        _worded(ChosenItem(item, slot + 1, reason, 0.0, 1.0, _digest(item, entry, asked), why), entry, asked)
        for slot, item in enumerate(ids)
    )
    return PlacementDecision(items, reason, entry.assigned.name, experiment)


def _fallback(entry: Entry, asked: Asked) -> list[ItemId]:
    """What the caller brought, in its order, else the placement's fallback; never what the visitor does not want.

    Rules, caps and what was seen have no say here: the fallback is for when these leave nothing.
    """
    for ids in (entry.brought, entry.placement.fallback):
        wanted = [item for item in dict.fromkeys(ids) if _may_show(item, entry, asked)]
        if wanted:
            return wanted[: entry.count]
    return []


def _may_show(item: ItemId, entry: Entry, asked: Asked) -> bool:
    """Whether an item may be shown without being ranked: the caller's own, or one that is approved and in schedule.

    What the visitor has muted and the page has excluded holds here as well, and so does what is sold out: what an
    operator forces is a preview of what visitors could see, and the fallback is no reason to sell what is not there.
    """
    blocks, items = entry.visitor.blocks, asked.bundle.items
    if item in entry.exclude or item in entry.catalogued.sold_out:
        return False
    brought = entry.brought.get(item)
    if brought is not None:
        return not blocks.is_muted(item, attributes_of(items, brought))
    return entry.catalogued.may_show(item, blocks, asked.now_ms)


def _digest(item: ItemId, entry: Entry, asked: Asked) -> str:
    """The digest of approved content, blank for what the caller brought: its content is the page's own."""
    known = None if item in entry.brought else asked.bundle.item(item)
    return (known.approved_sha256 or "") if known is not None else ""


def _worded(item: ChosenItem, entry: Entry, asked: Asked) -> ChosenItem:
    """The item in the copy that is meant for this visitor. What the caller brought is the page's own words.

    Variants reword an item's own content: where the placement has a representation of it, that is shown to everybody.
    """
    variants, format_name = asked.bundle.variants, entry.placement.format
    if item.id in entry.brought:
        return item
    if format_name:
        known = asked.bundle.item(item.id)
        represented = None if known is None else known.representations.get(format_name)
        if represented is not None:
            digest = represented.approved_sha256 or ""
            return msgspec.structs.replace(item, content_digest=digest, representation=format_name)
    if not variants:
        return item
    chosen = variants.choose(item.id, asked.bundle.items, entry.visitor.facts)
    if chosen is None:
        return item
    why = item.why + variants.why(item.id, chosen.name) if asked.question.explain else item.why
    digest = chosen.approved_sha256 or ""
    return msgspec.structs.replace(item, content_digest=digest, variant=chosen.name, why=why)


def logged_rows(given: Answer, places: list[int] | None, grants: Grants) -> FeatureRows | None:
    """Feature rows of the candidates at `places` (None: of all), as they are logged; None where there are none to log.

    What the model saw, where one ranked. Where a rule did, and the placement is to be learned from, all columns as a
    model would see them now, but visitor scores, which nobody asked for.
    """
    ranked = given.ranked
    if ranked is None or places == []:
        return None
    chosen = np.arange(len(ranked.rows)) if places is None else np.array(places, np.intp)
    rows = ranked.rows.take(chosen)
    if ranked.seen is not None:
        names, matrix = ranked.seen.names, ranked.seen.matrix.take(chosen, axis=0)
    elif given.entry.placement.learning != "online" and given.entry.assigned.is_personal:
        names = ranked.features.names
        matrix = ranked.features.matrix(given.entry.visitor.view, rows, grants, ())
    else:
        return None
    return FeatureRows(names, tuple(ranked.features.ids(rows)), matrix.astype("<f4", copy=False).tobytes())
