"""Challenger and champion asked about logged situations: with which probability each would have shown what was shown.

Each logged decision is made again: the same profile, the same page, the other bundle, in the arm where its model ranks
(`hub.replay`). A slot's probabilities are those of the arm's exploration over the candidates that earlier slots of the
log have left. What cannot be asked again says nothing, and is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from edgewise.admission.load import Bundle
from edgewise.bundle.policy import Exploration
from edgewise.errors import MALFORMED, EdgewiseError
from edgewise.ids import ArmName, DecisionId, ItemId, PlacementName
from edgewise.policy import pmf
from edgewise.ranking import ranker_of
from edgewise.reasons import Reason
from edgewise.records import DecisionRecord
from hub.evaluation.logged import Floats, Integers, LoggedDecisions
from hub.evaluation.policies import Target
from hub.ledger.ledger import Ledger
from hub.replay import Replayer
from hub.rewards.joined import Joined
from hub.scoring_child import ScoringChild

_UNDECIDED: Final = 1e-9
"""Scores that are closer together than this tell nothing apart."""


NOT_CHOSEN: Final = frozenset(
    {
        Reason.FORCED,
        Reason.OPTED_OUT,
        Reason.HOLDOUT,
        Reason.FALLBACK_NO_BUNDLE,
        Reason.FALLBACK_NO_CANDIDATE,
        Reason.FALLBACK_SCORER,
        Reason.FALLBACK_DEADLINE,
        Reason.FALLBACK_OVERLOAD,
    }
)
"""Reasons of slots that no arm filled: another model would not have filled them either."""


class Scored(NamedTuple):
    """What a policy makes of one situation."""

    items: tuple[ItemId, ...]
    """Its candidates."""
    scores: NDArray[np.float64]
    """(candidates,)"""
    exploration: Exploration


class Slot(NamedTuple):
    """One logged slot."""

    item: ItemId
    slot: int
    propensity: float
    reward: float


class Choice(NamedTuple):
    """One logged decision in the placement."""

    record: DecisionRecord
    slots: Sequence[Slot]
    """In their order."""


Policy = Callable[[DecisionRecord], Scored | None]
"""None: it cannot be asked about this one."""


class BundleArm:
    """A bundle, asked in one arm of a placement."""

    def __init__(
        self, replayer: Replayer, child: ScoringChild, bundle: Bundle, placement: PlacementName, arm: ArmName
    ) -> None:
        self._replayer = replayer
        self._child = child
        self._bundle = bundle
        self._placement = placement
        self._arm = arm
        given = bundle.policy.placements[placement].arms[arm]
        model = ranker_of(given.ranking)
        assert model is not None, "an arm in which a model ranks"
        self._onnx = bundle.models[model].onnx
        self._exploration = given.exploration

    def __call__(self, record: DecisionRecord) -> Scored | None:
        """The situation's candidates with their scores; None where its past is not here, or no model was asked."""
        try:
            again = self._replayer.again(
                record, explain=False, bundle=self._bundle, force={self._placement: self._arm}, ranks=False
            )
        except (EdgewiseError, *MALFORMED):
            return None
        rows = None if again.outcome is None else again.outcome.matrices.get(self._placement)
        if again.missing or rows is None or not rows.items:
            return None
        matrix = np.frombuffer(rows.data, "<f4").reshape(len(rows.items), len(rows.names)).copy()
        scores = self._child.score(self._onnx, matrix).reshape(len(matrix), -1)[:, 0]
        return Scored(rows.items, np.asarray(scores, np.float64), self._exploration)


def choices(ledger: Ledger, rows: Joined, *, most: int) -> list[Choice]:
    """The latest decisions that can judge: settled, of visitors, and chosen by an arm."""
    of_decision: dict[DecisionId, list[Slot]] = {}
    for row in np.flatnonzero(rows.is_counted & ~rows.forced).tolist():
        if rows.reason[row] in NOT_CHOSEN:
            continue
        slot = Slot(rows.item[row], int(rows.slot[row]), float(rows.propensity[row]), float(rows.reward[row]))
        of_decision.setdefault(rows.decision_id[row], []).append(slot)
    found = []
    for identifier in list(of_decision)[-most:]:
        try:
            record = ledger.decision(identifier)
        except MALFORMED:
            continue
        if record is not None:
            found.append(Choice(record, of_decision[identifier]))
    return found


class Asked(NamedTuple):
    """A log with what two policies make of it."""

    log: LoggedDecisions
    challenger: Target
    champion: Target | None
    time_ms: Integers
    """(rows,)"""
    segments: Mapping[str, Sequence[str]]
    """Name -> a value for each row."""
    undecided: float
    """Share of the decisions in which the challenger tells no two candidates apart."""
    dropped: Mapping[str, int]
    """Why decisions, or slots, say nothing -> how many: `not-asked`, `propensity`."""


def ask(logged: Sequence[Choice], challenger: Policy, champion: Policy | None) -> Asked:
    """Put the question about every decision. Same arguments, same answer.

    A champion of None is whatever made the decisions.
    """
    code = {item: number for number, item in enumerate(sorted({slot.item for each in logged for slot in each.slots}))}
    rows: list[tuple[int, Slot]] = []
    new: list[Floats] = []
    old: list[Floats] = []
    dropped: Counter[str] = Counter()
    asked = undecided = 0
    for number, choice in enumerate(logged):
        by_new = challenger(choice.record)
        by_old = None if champion is None else champion(choice.record)
        if by_new is None or (champion is not None and by_old is None):
            dropped["not-asked"] += 1
            continue
        asked += 1
        undecided += len(by_new.items) > 1 and float(np.ptp(by_new.scores)) < _UNDECIDED
        taken: set[ItemId] = set()
        for slot in choice.slots:
            if 0 < slot.propensity <= 1 and np.isfinite(slot.reward):
                rows.append((number, slot))
                new.append(_spread(by_new, taken, code))
                if by_old is not None:
                    old.append(_spread(by_old, taken, code))
            else:
                dropped["propensity"] += 1
            taken.add(slot.item)
    records = [logged[number].record for number, _ in rows]
    told = [segments_of(record) for record in records]
    names = sorted({name for each in told for name in each})
    decided = np.array([number for number, _ in rows], np.int64)
    return Asked(
        log=LoggedDecisions(
            name="decisions of the placement",
            actions=tuple(code),
            action=np.array([code[slot.item] for _, slot in rows], np.int64),
            propensity=np.array([slot.propensity for _, slot in rows], np.float64),
            reward=np.array([slot.reward for _, slot in rows], np.float64),
            position=np.array([slot.slot - 1 for _, slot in rows], np.int64),
            decision=np.unique(decided, return_inverse=True)[1].astype(np.int64),
            decision_ids=tuple(dict.fromkeys(record.decision_id for record in records)),
            context=pa.table({}),
            action_features=None,
            user=_numbered([record.subject or record.decision_id for record in records]),
        ),
        challenger=_target("challenger", new, len(code)),
        champion=None if champion is None else _target("champion", old, len(code)),
        time_ms=np.array([record.time_ms for record in records], np.int64),
        segments={name: [each.get(name, "") for each in told] for name in names},
        undecided=undecided / max(1, asked),
        dropped=dict(dropped),
    )


def segments_of(record: DecisionRecord) -> dict[str, str]:
    """Coarse, and known before the decision: where a challenger's harm to some could hide behind the rest."""
    context = msgspec.to_builtins(record.context)
    found = {"visitor": "known" if record.applied else "new"}
    for name, inside in (("device", "type"), ("geo", "country")):
        told = context.get(name) if isinstance(context, dict) else None
        if isinstance(told, dict) and told.get(inside):
            found[f"{name}.{inside}"] = str(told[inside])
    return found


def _spread(scored: Scored, taken: set[ItemId], code: Mapping[ItemId, int]) -> Floats:
    """(actions + 1,): the probability of each item of the log in one slot; the last is that of all others."""
    spread = np.zeros(len(code) + 1)
    left = [place for place, item in enumerate(scored.items) if item not in taken]
    if left:
        columns = [code.get(scored.items[place], len(code)) for place in left]
        np.add.at(spread, columns, pmf(scored.scores[left], scored.exploration)[: len(left)])
    return spread


def _target(name: str, spreads: Sequence[Floats], actions: int) -> Target:
    table = np.array(spreads, np.float64).reshape(-1, actions + 1)
    return Target(name, np.arange(len(table)), table[:, :-1], table[:, -1])


def _numbered(units: Sequence[str]) -> Integers:
    known: dict[str, int] = {}
    return np.array([known.setdefault(unit, len(known)) for unit in units], np.int64)
