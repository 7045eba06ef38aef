"""A preview's decision: the same `decide` and the same rendering as on a node, of a bundle that nobody has approved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgewise.admission.load import Bundle
from edgewise.decide import Outcome, decide
from edgewise.decision import Assignment, ChosenItem, Why
from edgewise.draws import draw_from
from edgewise.explain import why_plain
from edgewise.ids import ArmName, DecisionId, ItemId, ModelName, PlacementName, ulid
from edgewise.question import Force, Question
from edgewise.reasons import Reason
from edgewise.rendering import Links, ShownItem, content_of, render_fallback, render_placement
from edgewise.request import Context, PlacementRequest
from hub.preview.visitors import Visitor

Run = Callable[[bytes, NDArray[np.float32]], NDArray[np.float32]]
"""A model and rows of features -> what it says, in a process of its own."""


class Asked(NamedTuple):
    """What a preview is of."""

    placement: PlacementName
    visitor: Visitor
    context: Context
    locale: str
    most: int | None = None
    """Items; None: as the placement says."""
    arm: ArmName | None = None
    """Forced, so that every arm can be looked at; None: the one that he would get."""


class Seen(NamedTuple):
    """What would be seen, and why."""

    html: str
    fallback: str
    reason: Reason
    arm: ArmName
    experiment: Assignment | None
    items: list[ChosenItem]
    titles: dict[ItemId, str]
    left_out: dict[ItemId, str]
    """Decided, but its template cannot show it, and why."""


def see(bundle: Bundle, asked: Asked, run: Run, *, now_ms: int, entropy: bytes) -> Seen:
    """Decide and render. `entropy`: 10 bytes, of the decision's id, and so of its draws.

    Raises UnknownPlacement and InputError as `decide`, and what `run` raises.
    """
    force: Force = {} if asked.arm is None else {asked.placement: asked.arm}
    placements = [PlacementRequest(asked.placement, count=asked.most)]
    outcome = decided(
        bundle, asked.visitor, placements, asked.context, force=force, run=run, now_ms=now_ms, entropy=entropy
    )
    decision_id = outcome.decision.decision_id
    placed = outcome.decision.placements[asked.placement]
    format_name = bundle.policy.placements[asked.placement].format
    left_out: dict[ItemId, str] = {}
    shown = [
        ShownItem(
            item.id,
            item.rank,
            item.reason,
            content_of(bundle, item.id, item.variant or "", format_name),
            tuple(why.text for why in _causes(item)),
        )
        for item in placed.items
    ]
    html = render_placement(
        bundle,
        asked.placement,
        shown,
        locale=asked.locale,
        decision_id=decision_id,
        deferred=False,
        links=Links(),
        trouble=left_out.__setitem__,
    )
    return Seen(
        html=html,
        fallback=render_fallback(bundle, asked.placement, locale=asked.locale),
        reason=placed.reason,
        arm=placed.policy,
        experiment=placed.experiment,
        items=list(placed.items),
        titles={item.id: bundle.items.title(item.id) for item in placed.items},
        left_out=left_out,
    )


def decided(
    bundle: Bundle,
    visitor: Visitor,
    placements: Sequence[PlacementRequest],
    context: Context,
    *,
    force: Force,
    run: Run,
    now_ms: int,
    entropy: bytes,
) -> Outcome:
    """What would be decided for somebody, with reasons; nothing of it is kept. Raises as `see`."""
    decision_id = DecisionId(ulid(now_ms, entropy))
    question = Question(
        decision_id=decision_id,
        unit=visitor.unit,
        placements=tuple(placements),
        context=context,
        grants=visitor.grants,
        dial=visitor.dial,
        mute=dict(visitor.mute),
        force=force,
        explain=True,
    )

    def score(model: ModelName, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        said = run(bundle.models[model].onnx, matrix)
        return said[:, 0] if said.ndim == 2 and said.shape[1] == 1 else said  # noqa: PLR2004

    return decide(
        question,
        visitor.profile,
        bundle=bundle,
        score=score,
        draw=draw_from(bundle.policy.site.salt, decision_id),
        now_ms=now_ms,
    )


def _causes(item: ChosenItem) -> tuple[Why, ...]:
    return item.why or why_plain(item.reason)
