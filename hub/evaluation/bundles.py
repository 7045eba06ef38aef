"""Another release, or another model, as a target policy on the decisions of one placement.

bundle:VERSION[:ARM]       a release or a candidate; without ARM, whichever arm it would assign
model:NAME[@VERSION]       the live release with another version of a registered model, in the arm that ranks by it

Each logged decision is asked again of it: the same question, profile, facts and moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec
import numpy as np

from edgewise.admission.load import Bundle, load_bundle
from edgewise.counterfactual import WouldShow
from edgewise.decision import NOTHING as NO_ITEM
from edgewise.decision import Decision
from edgewise.errors import MALFORMED, EdgewiseError, InputError
from edgewise.ids import ArmName, BundleVersion, DecisionId, ItemId, ModelName, PlacementName
from edgewise.ranking import ranker_of
from edgewise.reasons import Reason
from edgewise.records import DecisionRecord
from hub.evaluation.from_ledger import NOTHING
from hub.evaluation.logged import Floats, LoggedDecisions
from hub.evaluation.policies import Target
from hub.ledger.ledger import Ledger
from hub.release.releases import Releases
from hub.release.swapped import with_model
from hub.replay import Replayer

Progress = Callable[[int, int], None]
"""Is told how many decisions of how many have been asked about."""
_decoded = msgspec.json.Decoder(Decision).decode
_MOST_NUMBERS: Final = 100_000_000
"""Of a target's table: 800 MB."""


class Asked(NamedTuple):
    """Whom to ask."""

    bundle: Bundle
    arm: ArmName | None


class Answered(NamedTuple):
    """The decisions that the bundle would have ranked, and its probabilities on them."""

    log: LoggedDecisions
    target: Target
    left_out: Mapping[str, int]
    """Why it would not have ranked in other decisions -> how many."""


def asked_of(policy: str, placement: PlacementName, releases: Releases) -> Asked:
    """The bundle and the arm that `bundle:…` or `model:…` names.

    Raises:
        InputError: there is no such release, model, version, placement or arm.
        BundleRefused, ModelRefused: it is damaged, or does not fit.
    """
    kind, _, argument = policy.partition(":")
    if kind == "model":
        return _of_model(argument, placement, releases)
    number, _, arm = argument.partition(":")
    if not number.isdecimal():
        raise InputError(f"policy {policy!r}: {number!r} is no release; expected bundle:VERSION or bundle:VERSION:ARM")
    built = releases.bundle(BundleVersion(int(number)))
    bundle = load_bundle(built.manifest, built.digest, built.resources)
    known = bundle.policy.placements.get(placement)
    if known is None:
        there = ", ".join(bundle.policy.placements)
        raise InputError(f"release {number} has no placement {placement!r}; there are: {there}")
    if arm and arm not in known.arms:
        raise InputError(f"{placement} of release {number} has no arm {arm!r}; there are: {', '.join(known.arms)}")
    return Asked(bundle, ArmName(arm) if arm else None)


def _of_model(argument: str, placement: PlacementName, releases: Releases) -> Asked:
    name, _, version = argument.partition("@")
    model = ModelName(name)
    if version and not version.isdecimal():
        raise InputError(f"policy 'model:{argument}': {version!r} is no version; expected model:NAME or model:NAME@3")
    live = releases.live()
    if live is None:
        raise InputError(f"no release is live that the model {name!r} could rank in; promote one, or name a bundle:")
    built = releases.bundle(live)
    registered = ModelName(built.manifest.provenance.get(f"model.{model}", model).partition("@")[0])
    rows = releases.registry.models(registered)
    if not rows:
        raise InputError(f"no model {name!r} is registered")
    number = int(version) if version else max(row.version for row in rows)
    swapped = with_model(built, model, releases.registry.artefacts(registered, number))
    bundle = load_bundle(swapped.manifest, swapped.digest, swapped.resources)
    known = bundle.policy.placements.get(placement)
    arms = {} if known is None else {key: arm for key, arm in known.arms.items() if ranker_of(arm.ranking) == model}
    if not arms:
        raise InputError(f"no arm of the placement {placement!r} in release {live} ranks by the model {name!r}")
    return Asked(bundle, next(iter(arms)))


def answered(
    log: LoggedDecisions,
    placement: PlacementName,
    policy: str,
    asked: Asked,
    *,
    ledger: Ledger,
    replayer: Replayer,
    with_support: bool = True,
    progress: Progress = lambda _done, _of: None,
) -> Answered:
    """Ask about each decision of a log from the ledger. Raises InputError when it would have ranked in none.

    `with_support`: ask the bundles that decided as well what was possible; half the time, where nobody looks at that.
    """
    if log.rows * len(log.actions) > _MOST_NUMBERS:
        raise InputError(f"{log.rows:,} rows of {len(log.actions):,} actions are too many; ask about fewer decisions")
    index = {action: number for number, action in enumerate(log.actions)}
    table, elsewhere, beyond = np.zeros((log.rows, len(log.actions))), np.zeros(log.rows), np.zeros(log.rows)
    is_kept = np.zeros(log.rows, np.bool_)
    left_out: Counter[str] = Counter()
    rows_of: dict[str, list[int]] = {}
    for row in np.argsort(log.position, kind="stable").tolist():
        rows_of.setdefault(log.decision_ids[log.decision[row]], []).append(row)
    records = {record.decision_id: record for record in ledger.decisions_of([DecisionId(one) for one in rows_of])}
    for done, (decision_id, rows) in enumerate(rows_of.items(), 1):
        slots = [_item(log.actions[log.action[row]]) for row in rows]
        situation = _Situation(replayer, records[DecisionId(decision_id)], placement, slots)
        found = situation.shown_by(asked)
        if isinstance(found, str):
            left_out[found] += 1
        else:
            is_kept[rows] = True
            table[rows], elsewhere[rows] = _placed(found, index)
            beyond[rows] = situation.beyond(found) if with_support else np.nan
        progress(done, len(rows_of))
    kept = np.flatnonzero(is_kept)
    if not len(kept):
        told = ", ".join(f"{why} {count:,}" for why, count in sorted(left_out.items()))
        raise InputError(f"{policy} would have ranked in none of {len(rows_of):,} decisions of {placement!r} ({told})")
    known = None if np.isnan(beyond[kept]).any() else beyond[kept]
    target = Target(policy, np.arange(len(kept), dtype=np.int64), table[kept], elsewhere[kept], known)
    return Answered(log.of_rows(kept), target, dict(left_out))


class _Situation:
    """One logged decision in a placement, about which several bundles are asked: its past is folded once."""

    def __init__(
        self, replayer: Replayer, record: DecisionRecord, placement: PlacementName, slots: list[ItemId]
    ) -> None:
        self._replayer = replayer
        self._record = record
        self._placement = placement
        self._slots = slots
        self._past = replayer.past(record)

    def shown_by(self, asked: Asked) -> WouldShow | str:
        """What it would have shown, or in one word why nobody can tell."""
        try:
            found = self._ask(asked)
        except EdgewiseError as refused:
            return f"unanswered: {type(refused).__name__}"
        return found if isinstance(found, WouldShow) else found.value

    def beyond(self, found: WouldShow) -> Floats:
        """(slots,): its probability of what the bundle that decided could not have shown; NaN where that is not here.

        A log of some thousand decisions never shows most of what it might have. The bundle itself says which of that
        was possible, so that only what it gave no chance counts as unsupported.
        """
        try:
            decided = _decoded(self._record.decision).placements[self._placement]
            made = self._ask(Asked(self._replayer.bundle(self._record), decided.policy))
        except (EdgewiseError, *MALFORMED, KeyError):
            made = Reason.FALLBACK_NO_BUNDLE
        if isinstance(made, Reason):
            return np.full(len(self._slots), np.nan)
        column = {item: place for place, item in enumerate(made.items)}
        chance = np.zeros(found.chances.shape)
        for place, item in enumerate(found.items):
            if item in column:
                chance[:, place] = made.chances[:, column[item]]
        return np.asarray(np.where(chance > 0, 0.0, found.chances).sum(axis=1), np.float64)

    def _ask(self, asked: Asked) -> WouldShow | Reason:
        return self._replayer.would_show(
            self._record, self._placement, self._slots, asked.bundle, asked.arm, past=self._past
        )


def _placed(found: WouldShow, index: Mapping[str, int]) -> tuple[Floats, Floats]:
    """(slots, actions) in the order of the log's actions, and (slots,) what falls on others."""
    table = np.zeros((len(found.chances), len(index)))
    known = [(column, index.get(_action(item))) for column, item in enumerate(found.items)]
    columns = [column for column, place in known if place is not None]
    table[:, [place for _, place in known if place is not None]] = found.chances[:, columns]
    return table, np.maximum(0.0, found.chances.sum(axis=1) - table.sum(axis=1))


def _action(item: ItemId) -> str:
    return NOTHING if item == NO_ITEM else str(item)


def _item(action: str) -> ItemId:
    return NO_ITEM if action == NOTHING else ItemId(action)
