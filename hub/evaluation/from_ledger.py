"""What our own nodes decided in a placement, and what came of it, as a log that estimators read.

A row a slot, behind the reward join: settled decisions of visitors in which an arm ranked. Bots, staff, fallbacks, the
holdout and whoever may not be personalised are left out, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edgewise.bundle.policy import Policy
from edgewise.errors import InputError
from edgewise.ids import ArmName, PlacementName
from edgewise.reasons import Reason
from edgewise.request import Context
from hub.evaluation.logged import Integers, LoggedDecisions, in_order
from hub.rewards.definition import CLICKED, NO_ITEM, definition_in
from hub.rewards.join import joined
from hub.rewards.joined import Joined, RowState, Traffic

if TYPE_CHECKING:
    from hub.ledger.ledger import Ledger

PREFIX: Final = "placement:"
"""Of a log that is read from the ledger: `placement:home_list`, or `placement:home_list:challenger`, of one arm."""
OTHER_ARM: Final = "other-arm"
NOTHING: Final = "(nothing)"
"""The action of a slate that ended on purpose."""
MOST_DECISIONS: Final = 10_000
"""To ask another bundle about a decision takes some milliseconds."""
_RANKED: Final = frozenset({Reason.MODEL.value, Reason.EXPLORE.value, Reason.RULE.value})
_CONTEXT: Final = ("device", "locale", "country", "hour")
_HOUR_MS: Final = 3_600_000


class LedgerLog(NamedTuple):
    """A log, and what is not in it."""

    log: LoggedDecisions
    left_out: Mapping[str, int]
    """Why decisions are not in the log -> how many."""


def named_log(text: str) -> tuple[PlacementName, ArmName | None]:
    """The placement and the arm of `placement:NAME[:ARM]`."""
    name, _, arm = text.removeprefix(PREFIX).partition(":")
    return PlacementName(name), ArmName(arm) if arm else None


def log_of_placement(
    ledger: Ledger,
    placement: PlacementName,
    policy: Policy | None,
    *,
    since_ms: int,
    until_ms: int,
    now_ms: int,
    most: int = MOST_DECISIONS,
    arm: ArmName | None = None,
) -> LedgerLog:
    """The latest `most` decisions of `since_ms <= time < until_ms` that can be evaluated.

    `arm`: only those that this arm made. Where visitors are drawn for arms, one arm's are a sample of all; a rule that
    explores nothing says nothing of what others would have earned, and its decisions would only count as unsupported.
    `policy` is the live release's, which says what a reward is and who is no visitor; None: there is none, and a click
    is worth 1. Raises InputError when no decision is left.
    """
    rows = joined(
        ledger,
        placement,
        CLICKED if policy is None else definition_in(policy, placement),
        since_ms=since_ms,
        until_ms=until_ms,
        now_ms=now_ms,
        policy=policy,
    )
    kept, left_out = _kept(rows, most, arm)
    if not len(kept):
        told = ", ".join(f"{why} {count:,}" for why, count in sorted(left_out.items())) or "none was made"
        raise InputError(f"placement {placement!r} has no settled decision of a visitor that an arm ranked ({told})")
    return LedgerLog(_log(ledger, rows, kept), left_out)


def _kept(rows: Joined, most: int, arm: ArmName | None) -> tuple[Integers, dict[str, int]]:
    """Places of the rows to keep; a decision is kept or left out as a whole."""
    why: dict[str, str] = {}
    for place, decision_id in enumerate(rows.decision_id):
        if rows.state[place] is RowState.WAITING:
            why[decision_id] = "waiting"
        elif rows.traffic[place] in {Traffic.BOT, Traffic.INTERNAL}:
            why[decision_id] = rows.traffic[place].value
        elif rows.reason[place] not in _RANKED:
            why[decision_id] = rows.reason[place]
        elif arm is not None and rows.arm[place] != arm:
            why[decision_id] = OTHER_ARM
    known = [decision_id for decision_id in dict.fromkeys(rows.decision_id) if decision_id not in why]
    why |= dict.fromkeys(known[: max(0, len(known) - most)], "older")
    left_out = Counter(why.values()) + Counter(rows.counts.dropped)
    return np.array([p for p, name in enumerate(rows.decision_id) if name not in why], np.int64), dict(left_out)


def _log(ledger: Ledger, rows: Joined, kept: Integers) -> LoggedDecisions:
    import pyarrow as pa

    shown = [rows.item[place] for place in kept]
    named = [NOTHING if item == NO_ITEM else str(item) for item in shown]
    actions = in_order(set(named))
    index = {action: number for number, action in enumerate(actions)}
    ids = tuple(dict.fromkeys(rows.decision_id[place] for place in kept))
    number_of = {decision_id: number for number, decision_id in enumerate(ids)}
    decision = np.array([number_of[rows.decision_id[place]] for place in kept], np.int64)
    contexts = {record.decision_id: (record.context, record.time_ms) for record in ledger.decisions_of(ids)}
    described = [_described(*contexts[rows.decision_id[place]]) for place in kept]
    units = [rows.unit[place] or rows.decision_id[place] for place in kept]
    return LoggedDecisions(
        name=f"{PREFIX}{rows.placement}",
        actions=actions,
        action=np.array([index[name] for name in named], np.int64),
        propensity=rows.propensity[kept],
        reward=rows.reward[kept],
        position=rows.slot[kept].astype(np.int64),
        decision=decision,
        decision_ids=ids,
        context=pa.table({name: [one[name] for one in described] for name in _CONTEXT}),
        action_features=None,
        user=np.unique(units, return_inverse=True)[1].astype(np.int64),
    )


def _described(context: Context, time_ms: int) -> dict[str, str | int]:
    return {
        "device": context.device.type,
        "locale": context.locale,
        "country": context.geo.country,
        "hour": time_ms // _HOUR_MS % 24,
    }
