"""What a model saw, scored and brought, out of the ledger: the rows of what it put into slots."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.bundle.manifest import POLICY
from edgewise.bundle.policy import ByModel, decode_policy
from edgewise.decision import Decision
from edgewise.errors import MALFORMED, EdgewiseError
from edgewise.events import Kind
from edgewise.ids import ArmName, BundleVersion, DecisionId, ItemId, ModelName, PlacementName
from edgewise.reasons import Reason
from edgewise.records import DecisionRecord
from hub.feature_rows import columns_of
from hub.ledger.ledger import Ledger
from hub.monitor.windows import SeenRows
from hub.release.provenance import models_of
from hub.release.releases import Releases
from hub.site.recipes import Outcome

BY_MODEL: Final = frozenset({Reason.MODEL, Reason.EXPLORE})
_AT_ONCE: Final = 1_000
_decisions = msgspec.json.Decoder(Decision)


class Serving(NamedTuple):
    """Where a bundle has a model rank."""

    model_version: int
    arms: frozenset[tuple[PlacementName, ArmName]]


class Seen(NamedTuple):
    """What was read."""

    rows: SeenRows
    left_out: Mapping[str, int]
    """Why decisions of the model's arms made no row -> how many: `no-features`, `other-columns`, `damaged`."""


ServingOf = Callable[[BundleVersion], Serving | None]
Progress = Callable[[int], None]


def serving_of(releases: Releases, model: ModelName) -> ServingOf:
    """What bundles do with a model, by their version; None: it does not serve there, or the bundle is gone."""
    known: dict[BundleVersion, Serving | None] = {}

    def find(version: BundleVersion) -> Serving | None:
        if version not in known:
            try:
                known[version] = _serving(releases, version, model)
            except (EdgewiseError, KeyError, *MALFORMED):
                known[version] = None
        return known[version]

    return find


def outcome_of(card: Mapping[str, Any]) -> Outcome:
    """What a model was trained for, by its card; a click where that does not say."""
    settings = card.get("settings")
    try:
        return msgspec.convert(settings["outcome"] if isinstance(settings, Mapping) else None, Outcome)
    except (KeyError, *MALFORMED):
        return Outcome(kind="click")


def read_seen(
    ledger: Ledger,
    serving: ServingOf,
    names: tuple[str, ...],
    outcome: Outcome,
    *,
    since_ms: int,
    until_ms: int,
    progress: Progress = lambda _: None,
) -> Seen:
    """Rows of what the model put into slots in `since_ms <= time < until_ms`; trials (`dryRun`) are left out.

    `progress` is told how many decisions were read.
    """
    left_out: Counter[str] = Counter()
    parts: list[_Part] = []
    read = 0
    decisions = (record for _, record in ledger.decisions(since_ms=since_ms, until_ms=until_ms))
    while some := list(islice(decisions, _AT_ONCE)):
        chosen = [part for record in some if not record.dry_run for part in _parts(record, serving, names, left_out)]
        came: dict[DecisionId, set[tuple[PlacementName | None, ItemId]]] = {}
        for reward in ledger.rewards(sorted({part.decision_id for part in chosen})):
            if outcome.counts(Kind(reward.kind), reward.value):
                came.setdefault(reward.decision_id, set()).add((reward.placement, reward.item))
        for part in chosen:
            found = came.get(part.decision_id, set())
            hit = [(part.placement, item) in found or (None, item) in found for item in part.items]
            parts.append(part._replace(outcome=np.array(hit, np.bool_)))
        read += len(some)
        progress(read)
    return Seen(_joined(names, parts), dict(left_out))


class _Part(NamedTuple):
    """The rows of one placement of one decision."""

    decision_id: DecisionId
    placement: PlacementName
    time_ms: int
    model_version: int
    items: tuple[ItemId, ...]
    matrix: NDArray[np.float32]
    score: NDArray[np.float64]
    outcome: NDArray[np.bool_]


def _parts(record: DecisionRecord, serving: ServingOf, names: tuple[str, ...], left_out: Counter[str]) -> list[_Part]:
    serves = serving(record.bundle_version)
    if serves is None:
        return []
    try:
        decision = _decisions.decode(record.decision)
    except MALFORMED:
        left_out["damaged"] += 1
        return []
    found = []
    for name, placed in decision.placements.items():
        scored = {item.id: item.score for item in placed.items if item.reason in BY_MODEL and math.isfinite(item.score)}
        if (name, placed.policy) not in serves.arms or not scored:
            continue
        shown = record.shown.get(name)
        if shown is None:
            left_out["no-features"] += 1
            continue
        matrix = columns_of(shown, names, left_out)
        if matrix is None:
            continue
        rows = [index for index, item in enumerate(shown.items) if item in scored]
        items = tuple(shown.items[index] for index in rows)
        score = np.array([scored[item] for item in items], np.float64)
        nothing = np.zeros(len(items), np.bool_)
        found.append(
            _Part(record.decision_id, name, record.time_ms, serves.model_version, items, matrix[rows], score, nothing)
        )
    return found


def _joined(names: tuple[str, ...], parts: list[_Part]) -> SeenRows:
    lengths = [len(part.items) for part in parts]
    return SeenRows(
        names=names,
        matrix=np.concatenate([np.zeros((0, len(names)), np.float32), *(part.matrix for part in parts)]),
        score=np.concatenate([np.zeros(0), *(part.score for part in parts)]),
        outcome=np.concatenate([np.zeros(0, np.bool_), *(part.outcome for part in parts)]),
        time_ms=np.repeat(np.array([part.time_ms for part in parts], np.int64), lengths),
        model_version=np.repeat(np.array([part.model_version for part in parts], np.int64), lengths),
        decision=np.repeat(np.arange(len(parts)), lengths),
    )


def _serving(releases: Releases, version: BundleVersion, model: ModelName) -> Serving | None:
    built = releases.bundle(version)
    versions = {alias: version for alias, (name, version) in models_of(built).items() if name == model}
    if not versions:
        return None
    placements = decode_policy(built.resources[POLICY]).placements
    arms = {
        (name, arm): ranking.model
        for name, placement in placements.items()
        for arm, ranking in ((arm, by.ranking) for arm, by in placement.arms.items())
        if isinstance(ranking, ByModel) and ranking.model in versions
    }
    if not arms:
        return None
    # a bundle that holds two versions has the later one watched
    latest = max(versions[alias] for alias in arms.values())
    return Serving(latest, frozenset(arm for arm, alias in arms.items() if versions[alias] == latest))
