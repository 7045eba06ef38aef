"""The last stages of a decision: from scores to a slate, its explanation, and what is answered."""

from __future__ import annotations

import msgspec
import numpy as np

from edgewise.bundle.items import UNKNOWN
from edgewise.bundle.policy import ByFormula, External
from edgewise.decision import Assignment, ChosenItem, PlacementDecision, Why
from edgewise.draws import Draw
from edgewise.eligibility import attributes_of
from edgewise.entry import Asked, Entry
from edgewise.explain import (
    MOST_REASONS,
    Attribute,
    Shown,
    attributions_of,
    told_ranking,
    why_modelled,
    why_plain,
    why_ruled,
)
from edgewise.ids import ItemId
from edgewise.policy import GREEDY, Slate, slate
from edgewise.ranking import Ranked, Seen, ranker_of
from edgewise.reasons import Reason
from edgewise.records import FeatureRows


class Answer(msgspec.Struct, frozen=True):
    """A placement's decision, and the candidates that it was chosen from: `places`, first slot first."""

    entry: Entry
    decision: PlacementDecision
    ranked: Ranked | None = None
    places: list[int] = []


def answer(entry: Entry, ranked: Ranked | Reason, asked: Asked, *, attribute: Attribute | None, draw: Draw) -> Answer:
    """Choose from the ranked candidates of one placement, or fall back."""
    if isinstance(ranked, Reason):
        return Answer(entry, _unranked(entry, ranked, asked))
    exploration = entry.assigned.arm.exploration
    is_unranked = ranked.seen is None and ranker_of(entry.assigned.arm.ranking) is not None
    if entry.placement.safe or not entry.assigned.is_personal or is_unranked:
        # Who may not be personalised is not learned from either, so there is nothing to explore for; and around an
        # order that is not the arm's there is nothing to learn of the arm.
        exploration = GREEDY
    name = entry.request.name
    chosen = slate(ranked.scores, entry.count, exploration, lambda slot: draw(name, slot))
    base = entry.assigned.reason or (Reason.RULE if ranked.seen is None else Reason.MODEL)
    if is_unranked:
        base = Reason.FALLBACK_OVERLOAD
    reasons = [base if is_greedy else Reason.EXPLORE for is_greedy in chosen.is_greedy]
    rows = ranked.rows.take(np.array(chosen.places, np.intp))
    whys: list[tuple[Why, ...]] = [()] * len(reasons)
    if asked.question.explain:
        whys = _whys(entry, ranked, chosen, reasons, attribute)
    items = tuple(
        _worded(
            ChosenItem(
                id=item,
                rank=slot + 1,
                reason=reasons[slot],
                score=float(ranked.scores[place]),
                propensity=chosen.propensities[slot],
                content_digest=_digest(item, entry, asked),
                why=whys[slot],
            ),
            entry,
            asked,
        )
        for slot, (item, place) in enumerate(zip(ranked.features.ids(rows), chosen.places, strict=True))
    )
    reason = Reason.EXPLORE if Reason.EXPLORE in reasons else base
    decision = PlacementDecision(items, reason, entry.assigned.name, entry.assigned.experiment)
    return Answer(entry, decision, ranked, chosen.places)


def _whys(
    entry: Entry, ranked: Ranked, chosen: Slate, reasons: list[Reason], attribute: Attribute | None
) -> list[tuple[Why, ...]]:
    features, seen = ranked.features, ranked.seen
    if seen is None:
        if ranker_of(entry.assigned.arm.ranking) is not None:
            return [why_plain(reason) for reason in reasons]
        has_history = bool(entry.visitor.view.profile.items)
        ruled = why_ruled(told_ranking(entry.assigned.arm, has_history=has_history), features)
        return [why_plain(reason) if reason is Reason.EXPLORE else why_plain(reason) + ruled for reason in reasons]
    places = np.array(chosen.places, np.intp)
    matrix = seen.matrix.take(places, axis=0)
    attributions = attributions_of(attribute, seen.model, matrix) if Reason.MODEL in reasons else None
    shown = Shown(ranked.rows.take(places), matrix, seen.columns, attributions)
    ranking = entry.assigned.arm.ranking
    ruled = why_ruled(ranking, features) if isinstance(ranking, ByFormula) else ()
    return [
        (ruled + why_modelled(features, entry.visitor.view, shown, slot))[:MOST_REASONS]
        if reason is Reason.MODEL
        else why_plain(reason)
        for slot, reason in enumerate(reasons)
    ]


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
    code = items.code_of.get(item, UNKNOWN)
    is_open = items.starts_ms[code] <= asked.now_ms < items.ends_ms[code]
    return bool(items.approved[code] and is_open) and not blocks.is_muted(item, items.attributes(code))


def _digest(item: ItemId, entry: Entry, asked: Asked) -> str:
    """The digest of approved content, blank for what the caller brought: its content is the page's own."""
    known = None if item in entry.brought else asked.bundle.item(item)
    return (known.approved_sha256 or "") if known is not None else ""


def _worded(item: ChosenItem, entry: Entry, asked: Asked) -> ChosenItem:
    """The item in the copy that is meant for this visitor. What the caller brought is the page's own words."""
    variants = asked.bundle.variants
    if not variants or item.id in entry.brought:
        return item
    chosen = variants.choose(item.id, asked.bundle.items, entry.visitor.facts)
    if chosen is None:
        return item
    why = item.why + variants.why(item.id, chosen.name) if asked.question.explain else item.why
    digest = chosen.approved_sha256 or ""
    return msgspec.structs.replace(item, content_digest=digest, variant=chosen.name, why=why)


def feature_rows(ranked: Ranked, seen: Seen, places: list[int] | None) -> FeatureRows:
    """What the model saw of the candidates at `places` (None: of all), as it is logged."""
    chosen = np.arange(len(ranked.rows)) if places is None else np.array(places, np.intp)
    data = seen.matrix.take(chosen, axis=0).astype("<f4", copy=False).tobytes()
    return FeatureRows(seen.names, tuple(ranked.features.ids(ranked.rows.take(chosen))), data)
