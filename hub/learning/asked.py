"""Challenger and champion asked about the same logged decisions, which neither has learned from.

The log is the placement's own (`hub.evaluation.from_ledger`); each of its decisions is asked again of both bundles in
the arm where their model ranks (`hub.evaluation.bundles`). Only decisions that both would have ranked are compared, so
that a difference is one of choices, not of situations; how many are left out is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edgewise.admission.load import load_bundle
from edgewise.bundle.manifest import POLICY
from edgewise.bundle.policy import decode_policy
from edgewise.errors import InputError
from edgewise.ids import DecisionId
from edgewise.records import DecisionRecord
from hub.evaluation.bundles import Answered, Asked, answered
from hub.evaluation.from_ledger import LedgerLog
from hub.evaluation.logged import Integers, LoggedDecisions
from hub.evaluation.policies import Target
from hub.ledger.ledger import Ledger
from hub.release.bundle import BuiltBundle
from hub.replay import Replayer
from hub.train.shop import Seat


class Compared(NamedTuple):
    """A log with what two policies make of it; both targets' rows are the log's."""

    log: LoggedDecisions
    challenger: Target
    champion: Target | None
    time_ms: Integers
    """(rows,): when each was decided."""
    segments: Mapping[str, Sequence[str]]
    """Name -> a value for each row."""
    unused: float
    """Share of the log's decisions that one of the two would not have ranked, or that cannot be asked again."""


def compare(
    made: LedgerLog,
    seat: Seat,
    challenger: BuiltBundle,
    champion: BuiltBundle | None,
    *,
    ledger: Ledger,
    replayer: Replayer,
) -> Compared:
    """Ask both. A champion of None is whatever made the decisions.

    Raises InputError where they have no decision in common.
    """
    before = len(made.log.decision_ids)
    new = _asked("challenger", made.log, seat, challenger, ledger=ledger, replayer=replayer)
    old = None
    if champion is not None:
        old = _asked("champion", new.log, seat, champion, ledger=ledger, replayer=replayer, with_support=False)
        new = _only(new, old.log)
    log = new.log if old is None else old.log
    records = {record.decision_id: record for record in ledger.decisions_of([*map(DecisionId, log.decision_ids)])}
    of_row = [records[DecisionId(log.decision_ids[number])] for number in log.decision.tolist()]
    told = [segments_of(record) for record in of_row]
    names = sorted({name for each in told for name in each})
    return Compared(
        log=log,
        challenger=new.target,
        champion=None if old is None else old.target,
        time_ms=np.array([record.time_ms for record in of_row], np.int64),
        segments={name: [each.get(name, "") for each in told] for name in names},
        unused=1 - len(log.decision_ids) / before,
    )


class BesideRule(NamedTuple):
    """The decisions that the rule would have ranked, too; both targets' rows are the log's."""

    log: LoggedDecisions
    challenger: Target
    rule: Target


def beside_rule(
    found: Compared, seat: Seat, challenger: BuiltBundle, *, ledger: Ledger, replayer: Replayer
) -> BesideRule:
    """The challenger beside what the placement would do without any model: the arm of those who opted out.

    Raises InputError where they have no decision in common.
    """
    placements = decode_policy(challenger.resources[POLICY]).placements
    ruled = Seat(seat.placement, placements[seat.placement].opted_out_arm)
    rule = _asked("rule", found.log, ruled, challenger, ledger=ledger, replayer=replayer, with_support=False)
    new = _only(Answered(found.log, found.challenger, {}), rule.log)
    return BesideRule(rule.log, new.target, rule.target)


def segments_of(record: DecisionRecord) -> dict[str, str]:
    """Coarse, and known before the decision: where a challenger's harm to some could hide behind the rest."""
    told = {
        "visitor": "known" if record.applied else "new",
        "device": record.context.device.type,
        "country": record.context.geo.country,
    }
    return {name: value for name, value in told.items() if value}


def _asked(
    name: str,
    log: LoggedDecisions,
    seat: Seat,
    built: BuiltBundle,
    *,
    ledger: Ledger,
    replayer: Replayer,
    with_support: bool = True,
) -> Answered:
    bundle = load_bundle(built.manifest, built.digest, built.resources)
    known = bundle.policy.placements.get(seat.placement)
    if known is None or seat.arm not in known.arms:
        raise InputError(f"release {built.manifest.version} has no arm {seat.arm!r} in {seat.placement!r}")
    asked = Asked(bundle, seat.arm)
    return answered(log, seat.placement, name, asked, ledger=ledger, replayer=replayer, with_support=with_support)


def _only(answers: Answered, log: LoggedDecisions) -> Answered:
    """The same answers about those decisions alone that another log holds, whose order is the same."""
    wanted = set(log.decision_ids)
    ids = answers.log.decision_ids
    kept = np.array([ids[number] in wanted for number in answers.log.decision.tolist()], np.bool_)
    return answers._replace(log=log, target=answers.target.of_rows(np.flatnonzero(kept)))
