"""Challenger and champion asked about logged situations: with which probability each would have shown what was shown.

Answers come from whole feature matrices that nodes logged (a share of the decisions, drawn apart from everything that
is judged): every candidate is scored again, and a slot's probabilities are those of the arm's exploration over the
candidates that earlier slots of the log have left. So both are asked about the same candidates, those that the serving
arm had found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from edgewise.bundle.policy import Exploration
from edgewise.errors import MALFORMED
from edgewise.ids import DecisionId
from edgewise.policy import pmf
from edgewise.records import DecisionRecord
from hub.evaluation.logged import Floats, Integers, LoggedDecisions
from hub.evaluation.policies import Target
from hub.ledger.ledger import Ledger
from hub.train.logged import NOT_SHOWN, LoggedRows

_UNDECIDED: Final = 1e-9
"""Scores that are closer together than this tell nothing apart."""


class Situation(NamedTuple):
    """What is known of a decision beside its rows."""

    unit: str
    """Whose it was, or the decision itself where that is nobody."""
    segments: Mapping[str, str]


class Asking(NamedTuple):
    """A policy that is asked."""

    name: str
    scores: NDArray[np.float64]
    """(n,): of every logged row."""
    exploration: Exploration


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
    dropped: int
    """Shown items without a propensity in (0, 1]."""


def situations(ledger: Ledger, rows: LoggedRows) -> dict[DecisionId, Situation]:
    """Of the decisions that made rows."""
    wanted = set(rows.decision_ids)
    if not wanted:
        return {}
    since_ms, until_ms = int(rows.time_ms.min()), int(rows.time_ms.max()) + 1
    return {
        record.decision_id: Situation(record.subject or record.decision_id, _segments(record))
        for _, record in ledger.decisions(since_ms=since_ms, until_ms=until_ms)
        if record.decision_id in wanted
    }


def whole_matrices(rows: LoggedRows, *, since_ms: int, most: int) -> LoggedRows:
    """The latest decisions whose every candidate was logged, with all their rows."""
    whole = np.flatnonzero((rows.sample_probability > 0) & (rows.time_ms >= since_ms))
    kept = np.zeros(len(rows.size), np.bool_)
    kept[whole[np.argsort(rows.time_ms[whole], kind="stable")][-most:]] = True
    of_row = np.repeat(kept, rows.size)
    numbers = np.flatnonzero(kept).tolist()
    return LoggedRows(
        names=rows.names,
        matrix=rows.matrix[of_row],
        label=rows.label[of_row],
        gain=rows.gain[of_row],
        known_ms=rows.known_ms[of_row],
        items=tuple(item for item, is_kept in zip(rows.items, of_row.tolist(), strict=True) if is_kept),
        slot=rows.slot[of_row],
        propensity=rows.propensity[of_row],
        size=rows.size[kept],
        sample_probability=rows.sample_probability[kept],
        decision_ids=tuple(rows.decision_ids[number] for number in numbers),
        time_ms=rows.time_ms[kept],
        bundle_digests=tuple(rows.bundle_digests[number] for number in numbers),
        left_out=rows.left_out,
    )


def ask(rows: LoggedRows, known: Mapping[DecisionId, Situation], challenger: Asking, champion: Asking | None) -> Asked:
    """Put the question; rows are whole matrices. Same arguments, same answer.

    A champion of None is whatever made the decisions.
    """
    ends = np.cumsum(rows.size)
    starts = ends - rows.size
    actions = sorted({item for item, slot in zip(rows.items, rows.slot.tolist(), strict=True) if slot != NOT_SHOWN})
    code = {item: number for number, item in enumerate(actions)}
    column = np.array([code.get(item, len(actions)) for item in rows.items], np.int64)
    shown, decision_of, tables, dropped, undecided = [], [], list[tuple[Floats, Floats | None]](), 0, 0
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        undecided += bool(np.ptp(challenger.scores[start:end]) < _UNDECIDED) and end - start > 1
        order = start + np.argsort(rows.slot[start:end], kind="stable")
        left = np.ones(end - start, np.bool_)
        for row in order[rows.slot[order] != NOT_SHOWN].tolist():
            if 0 < rows.propensity[row] <= 1:
                shown.append(row)
                decision_of.append(number)
                among = start + np.flatnonzero(left)
                tables.append(
                    (
                        _spread(challenger, among, column, len(actions)),
                        None if champion is None else _spread(champion, among, column, len(actions)),
                    )
                )
            else:
                dropped += 1
            left[row - start] = False
    ids = [rows.decision_ids[number] for number in decision_of]
    of_row = [known.get(identifier, Situation(identifier, {})) for identifier in ids]
    log = LoggedDecisions(
        name="decisions of the placement",
        actions=tuple(actions),
        action=column[shown],
        propensity=rows.propensity[shown],
        reward=rows.gain[shown].astype(np.float64),
        position=(rows.slot[shown] - 1).astype(np.int64),
        decision=np.unique(np.array(decision_of, np.int64), return_inverse=True)[1],
        decision_ids=tuple(dict.fromkeys(ids)),
        context=pa.table({}),
        action_features=None,
        user=np.unique(np.array([each.unit for each in of_row], np.str_), return_inverse=True)[1],
    )
    names = sorted({name for each in of_row for name in each.segments})
    return Asked(
        log=log,
        challenger=_target(challenger, [new for new, _ in tables], len(actions)),
        champion=None
        if champion is None
        else _target(champion, [old for _, old in tables if old is not None], len(actions)),
        time_ms=rows.time_ms[decision_of],
        segments={name: [each.segments.get(name, "") for each in of_row] for name in names},
        undecided=undecided / max(1, len(rows.size)),
        dropped=dropped,
    )


def _spread(asking: Asking, among: NDArray[np.intp], column: Integers, actions: int) -> Floats:
    """(actions + 1,): the probability of each known action in one slot; the last one is that of all others."""
    spread = np.zeros(actions + 1)
    np.add.at(spread, column[among], pmf(asking.scores[among], asking.exploration))
    return spread


def _target(asking: Asking, spreads: Sequence[Floats], actions: int) -> Target:
    table = np.array(spreads).reshape(-1, actions + 1)
    return Target(asking.name, np.arange(len(table)), table[:, :-1], table[:, -1])


def _segments(record: DecisionRecord) -> dict[str, str]:
    """Coarse, and known before the decision: by what a challenger's harm to some would be hidden."""
    try:
        context = msgspec.to_builtins(record.context)
    except MALFORMED:
        return {}
    device, geo = context.get("device") or {}, context.get("geo") or {}
    return {
        "visitor": "known" if record.applied else "new",
        "device.type": str(device.get("type") or "") if isinstance(device, dict) else "",
        "geo.country": str(geo.get("country") or "") if isinstance(geo, dict) else "",
    }
