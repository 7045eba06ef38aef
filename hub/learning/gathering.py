"""Gathers what is known of a challenger: the trainer's card, the log, what staff flagged, what is skewed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from edgewise.admission.load import load_bundle
from edgewise.bundle.golden import unpack
from edgewise.bundle.manifest import POLICY
from edgewise.bundle.policy import decode_policy
from edgewise.errors import InputError, ModelRefused
from edgewise.ids import ModelName
from edgewise.profile.state import DAY_MS
from edgewise.ranking import ranker_of
from hub.artefacts import check_golden
from hub.evaluation.from_ledger import LedgerLog, log_of_placement
from hub.flagging import stands_again
from hub.learning.asked import Compared, beside_rule, compare
from hub.learning.evidence import DataEvidence, GateEvidence, HeldOut, Interval, OffPolicy, ParityEvidence
from hub.learning.gate import alpha_of_look
from hub.learning.guarded import watched
from hub.learning.off_policy import lift_between, off_policy
from hub.learning.plan import LearnPlan
from hub.learning.turns import EvidenceAsked
from hub.ledger.ledger import Ledger
from hub.release.bundle import BuiltBundle
from hub.release.provenance import models_of
from hub.release.releases import Releases
from hub.replay import Replayer
from hub.rewards.exposures import Dropped
from hub.scoring_child import ScoringChild
from hub.site.loading import SiteContents
from hub.train.skew import measure_skew

MOST_SKEW: Final = 200
"""Decisions that are replayed to compare their features."""
REWARD: Final = "reward of a decision"
"""What is measured where the log speaks of later outcomes."""
_FAULTS: Final = frozenset(Dropped) - {Dropped.DRY_RUN, Dropped.NOT_SHOWN}
"""Why decisions have no row that should have one."""


class Champion(NamedTuple):
    """What the challenger is to replace."""

    name: str
    model: ModelName | None = None
    """As it is registered."""
    version: int | None = None
    bundle: BuiltBundle | None = None
    """Where its model ranks; None: no model serves there yet, the log itself is what it does."""


class _ByLog(NamedTuple):
    said: OffPolicy | None = None
    compared: Compared | None = None
    why: str = ""
    """Why it says nothing."""
    dropped: float = 0.0
    """Share of its decisions that could not be used."""


class Gatherer:
    """Of one site; scores and replays by the edge's own scorer."""

    def __init__(
        self, ledger: Ledger, releases: Releases, contents: SiteContents, plan: LearnPlan, child: ScoringChild
    ) -> None:
        self._ledger = ledger
        self._releases = releases
        self._contents = contents
        self._plan = plan
        self._child = child

    def check_parity(self, model: ModelName, version: int) -> ParityEvidence:
        """What its training measured, and its golden rows once more. Raises ModelRefused for one that differs."""
        artefacts, row = self._releases.registry.artefacts(model, version), self._releases.registry.row(model, version)
        if artefacts.model is None or artefacts.golden is None:
            raise ModelRefused("artefacts", f"{model}@{version} scores nothing, so that no arm can rank by it")
        error = check_golden(artefacts.model, artefacts.golden, len(artefacts.features.features), self._child)
        matrix, _ = unpack(artefacts.golden)
        scores = self._child.score(artefacts.model, matrix)
        told = row.card.get("parity")
        known: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
        return ParityEvidence(
            rows=int(known.get("rows", 0)) + len(matrix),
            mismatches=int(known.get("mismatches", 0)),
            max_scaled_error=max(error, float(known.get("max_scaled_error", 0.0))),
            finite=float(np.isfinite(scores).mean()),
        )

    def __call__(self, asked: EvidenceAsked) -> GateEvidence:
        """All of it. Raises what building a bundle with the challenger raises."""
        turn, plan = asked.turn, self._plan
        row = self._releases.registry.row(turn.registered, asked.version)
        built = self._releases.preview(self._contents, {turn.model: asked.version})
        champion = self._champion(asked)
        by_log = self._by_the_log(asked, champion, built)
        is_refresh = self._is_refresh(asked, champion)
        return GateEvidence(
            challenger=f"{turn.registered}@{asked.version}",
            champion=champion.name,
            now_ms=asked.now_ms,
            looks=asked.looks,
            is_refresh=is_refresh,
            parity=asked.parity,
            data=DataEvidence(
                new=asked.news.new,
                trained_ms=row.created_ms,
                newest_ms=asked.news.newest_ms if asked.learned_until_ms is None else asked.learned_until_ms,
                dropped=by_log.dropped,
                skewed=self._skewed(turn.model, asked.now_ms - round(plan.judge_days * DAY_MS)),
            ),
            held_out=self._held_out(asked, champion, built, row.card, by_log.compared if is_refresh else None),
            off_policy=by_log.said,
            no_off_policy=by_log.why,
            flags=self._flags(built),
        )

    # --- inside ---------------------------------------------------------------------------------------------------
    def _held_out(
        self,
        asked: EvidenceAsked,
        champion: Champion,
        built: BuiltBundle,
        card: Mapping[str, Any],
        refreshed: Compared | None,
    ) -> HeldOut | None:
        """What later outcomes say: by its trainer's word, or by the log where it learns from decisions.

        Then the trainer's word is no evidence: it is about what visitors find, not about what they make of it. The log
        is asked only of a refresh, which need not be better than the champion, but than no model at all.
        """
        recipe = self._contents.recipes.get(asked.turn.model)
        if recipe is None or recipe.decisions is None:
            return held_out(card, champion.version if champion.model == asked.turn.registered else None)
        if refreshed is None:
            return None
        replayer = Replayer(self._ledger, self._releases, self._child)
        try:
            beside = beside_rule(refreshed, asked.seat, built, ledger=self._ledger, replayer=replayer)
        except InputError:
            return None
        above = lift_between(
            beside.log,
            beside.challenger,
            beside.rule,
            alpha=self._plan.gate.alpha,
            rng=np.random.default_rng(self._plan.seed),
        )
        return HeldOut(REWARD, beside.log.rows, above_rule=above)

    def _champion(self, asked: EvidenceAsked) -> Champion:
        """The model that the live release ranks by in this seat, else its rule."""
        live = self._releases.live()
        if live is None:
            return Champion("nothing is live")
        built = self._releases.bundle(live)
        placement = decode_policy(built.resources[POLICY]).placements.get(asked.seat.placement)
        if placement is None:
            return Champion(f"release {live} has no {asked.seat.placement}")
        arm = placement.arms.get(asked.seat.arm)
        ranker = None if arm is None else ranker_of(arm.ranking)
        named = None if ranker is None else models_of(built).get(ranker)
        if named is None:
            return Champion(f"the rule of {asked.seat.placement}, arm {placement.arm}")
        model, version = named
        return Champion(f"{model}@{version}", model, version, built)

    def _by_the_log(self, asked: EvidenceAsked, champion: Champion, built: BuiltBundle) -> _ByLog:
        if asked.learned_until_ms is None:
            return _ByLog(why="too few decisions to learn from some and judge by others")
        plan = self._plan
        try:
            made = self._log(asked, asked.learned_until_ms)
            found = compare(
                made,
                asked.seat,
                built,
                champion.bundle,
                ledger=self._ledger,
                replayer=Replayer(self._ledger, self._releases, self._child),
            )
        except InputError as nothing:
            return _ByLog(why=str(nothing))
        said = off_policy(
            found.log,
            found.challenger,
            found.champion,
            time_ms=found.time_ms,
            alpha=alpha_of_look(plan.gate.alpha, asked.looks),
            rng=np.random.default_rng(plan.seed),
            segments=found.segments,
            guardrails=watched(
                self._ledger,
                self._contents.policy,
                asked.seat.placement,
                found.log,
                since_ms=asked.learned_until_ms,
                until_ms=asked.news.decisions_until_ms,
                now_ms=asked.now_ms,
            ),
            undecided=float(self._is_constant(asked)),
        )
        lost = sum(count for why, count in made.left_out.items() if why in _FAULTS)
        return _ByLog(said, found, dropped=max(found.unused, lost / (lost + len(made.log.decision_ids))))

    def _log(self, asked: EvidenceAsked, since_ms: int) -> LedgerLog:
        """What the seat's own arm decided; where it has decided nothing yet, what all arms did. Raises InputError."""
        read = partial(
            log_of_placement,
            self._ledger,
            asked.seat.placement,
            self._contents.policy,
            since_ms=since_ms,
            until_ms=asked.news.decisions_until_ms,
            now_ms=asked.now_ms,
            most=self._plan.most_judged,
        )
        try:
            return read(arm=asked.seat.arm)
        except InputError:
            return read()

    def _is_constant(self, asked: EvidenceAsked) -> bool:
        """Whether it gives every golden row the same score."""
        artefacts = self._releases.registry.artefacts(asked.turn.registered, asked.version)
        if artefacts.model is None or artefacts.golden is None:
            return True
        scores = self._child.score(artefacts.model, unpack(artefacts.golden)[0])
        return len(scores) > 1 and not float(np.ptp(scores.reshape(len(scores), -1)[:, 0])) > 0

    def _is_refresh(self, asked: EvidenceAsked, champion: Champion) -> bool:
        """The same recipe on the same columns: only the data are newer."""
        if champion.version is None or champion.model != asked.turn.registered:
            return False
        registry = self._releases.registry
        new, old = (registry.row(asked.turn.registered, version).card for version in (asked.version, champion.version))
        columns, before = (
            registry.artefacts(asked.turn.registered, version).features for version in (asked.version, champion.version)
        )
        return new.get("settings") == old.get("settings") and columns == before

    def _flags(self, built: BuiltBundle) -> tuple[str, ...]:
        bundle = load_bundle(built.manifest, built.digest, built.resources)
        found = stands_again(self._ledger, self._releases, self._child, bundle)
        return tuple(
            f"flag {each.flag.number}: {each.found}" for each in found if each.stands is not False and not each.is_gone
        )

    def _skewed(self, model: ModelName, since_ms: int) -> tuple[str, ...]:
        replayer = Replayer(self._ledger, self._releases, self._child)
        found = measure_skew(self._ledger, replayer, model=model, since_ms=since_ms, most=MOST_SKEW)
        return tuple(sorted(feature.name for feature in found.features if feature.unequal))


def held_out(card: Mapping[str, Any], champion: int | None) -> HeldOut | None:
    """What the trainer found on later outcomes, out of its card; None where it says nothing of the kind."""
    metrics, data = card.get("metrics"), card.get("data")
    if not isinstance(metrics, Mapping) or not isinstance(data, Mapping):
        return None
    hit = next((name for name in metrics if name.startswith("hit_rate@") and name.endswith(", all visitors")), None)
    if hit is None:
        return None
    measure = hit.removesuffix(", all visitors").partition(" ")[0]
    value = metrics.get(f"{measure}, all visitors", {}).get("estimate")
    parent = card.get("reproduction", {}).get("parent", {}).get("parent")
    return HeldOut(
        measure=measure,
        choices=int(data.get("outcomes_judged", 0)),
        above_rule=_interval(metrics.get(f"{measure} above the rule, all visitors")),
        above_champion=(
            _interval(metrics.get(f"{measure} above the parent, all visitors"))
            if champion is not None and parent == champion
            else None
        ),
        value=None if value is None else float(value),
    )


def _interval(told: Any) -> Interval | None:
    if not isinstance(told, Mapping):
        return None
    return Interval(*(float(told.get(end, "nan")) for end in ("estimate", "ci_low", "ci_high")))
