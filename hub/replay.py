"""A logged decision, made again: the same bundle, the same profile, the same question, the same scorer's code.

What comes out must equal what was logged to the byte: the decision, the feature rows of what was shown, the sampled
matrices, the impressions, what challengers would have shown. Then the record explains the decision completely, and
served features are those that training computes. What cannot be asked again (a profile with a hole, a bundle or live
facts that are gone) is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.facts import NO_FACTS
from edgewise.counterfactual import WouldShow, would_show
from edgewise.decide import NO_SHADOWS, Outcome, decide
from edgewise.decision import Decision, canonical_bytes
from edgewise.draws import draw_from
from edgewise.errors import MALFORMED, BundleRefused, EdgewiseError, InputError
from edgewise.fallback import fallback_decision
from edgewise.ids import ArmName, BundleVersion, DecisionId, ItemId, ModelName, PlacementName
from edgewise.live_facts import LiveFacts
from edgewise.question import question_of
from edgewise.reasons import Reason
from edgewise.recorded import counted
from edgewise.records import DecisionRecord, FeatureRows, Shadow
from hub.ledger.ledger import Ledger
from hub.past_profile import PastProfile, past_profile
from hub.release.candidates import read_bundle
from hub.release.releases import Releases
from hub.replay_difference import (
    Difference,
    decision_difference,
    enrolled_difference,
    items_difference,
    rows_difference,
    shadows_difference,
)
from hub.scoring_child import ScoringChild

BUNDLES_KEPT: Final = 8
_STARTER: Final = ("edge/starter_bundle/bundle", "exported_models/starter/bundle")
"""Where the bundle of version 0 lies beside this package: in a wheel, in a checkout."""


class Replay(msgspec.Struct, frozen=True):
    """What came of asking again."""

    decision_id: DecisionId
    identical: bool
    """The decision's canonical bytes and everything logged beside them."""
    sha256: str
    """Of the logged bytes."""
    replayed_sha256: str
    bundle_version: int
    bundle_digest: str
    difference: Difference | None
    missing: tuple[str, ...]
    """Why the profile could not be rebuilt; then nothing identical may be expected."""
    notes: tuple[str, ...]


class Again(NamedTuple):
    """A decision made again, with everything that is logged beside one."""

    decision: Decision
    shown: dict[PlacementName, FeatureRows]
    sampled: dict[PlacementName, FeatureRows]
    impressions: tuple[ItemId, ...]
    enrolled: dict[str, ArmName]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    shadows: dict[PlacementName, Shadow] = NO_SHADOWS
    outcome: Outcome | None = None
    """All of it, with the rows of every candidate; None where there was no bundle."""


class Replayer:
    """Replays decisions of one data folder. Bundles and models are loaded once for several decisions."""

    def __init__(self, ledger: Ledger, releases: Releases, child: ScoringChild) -> None:
        self._ledger = ledger
        self._releases = releases
        self._child = child
        self._bundles: dict[tuple[BundleVersion, str], Bundle] = {}
        self._facts: dict[tuple[str, int], LiveFacts] = {}

    def record(self, decision_id: DecisionId) -> DecisionRecord:
        """A logged decision. Raises InputError when the ledger has none of this id, or a damaged one."""
        try:
            record = self._ledger.decision(decision_id)
        except MALFORMED as damaged:
            raise InputError(f"the ledger's record of decision {decision_id!r} is damaged: {damaged}") from damaged
        if record is None:
            raise InputError(
                f"the ledger holds no decision {decision_id!r}; expected the id of one that a node has reported"
            )
        return record

    def replay(self, decision_id: DecisionId) -> Replay:
        """Decide again and compare.

        Raises:
            InputError: no such decision, or its record is damaged.
            BundleRefused: its bundle is not here, or damaged.
            RefusedError: the live facts that it was made with are not remembered any more.
        """
        record = self.record(decision_id)
        again = self.again(record)
        replayed = canonical_bytes(again.decision)
        difference = first_difference(record, again, replayed)
        return Replay(
            decision_id=decision_id,
            identical=difference is None,
            sha256=hashlib.sha256(record.decision).hexdigest(),
            replayed_sha256=hashlib.sha256(replayed).hexdigest(),
            bundle_version=record.bundle_version,
            bundle_digest=record.bundle_digest,
            difference=difference,
            missing=again.missing,
            notes=again.notes,
        )

    def again(
        self,
        record: DecisionRecord,
        *,
        explain: bool | None = None,
        bundle: Bundle | None = None,
        ranks: bool = True,
        placements: Collection[PlacementName] | None = None,
        past: PastProfile | None = None,
    ) -> Again:
        """Ask a record's question again; with `explain`, ask for causes whether or not they were asked for then.

        With `bundle`, ask that one and not the one that decided. Without `ranks` every candidate gets the same score:
        for whoever only looks at what models would see (`outcome.matrices`), which is most of the time saved. With
        `placements`, ask about these of them only: another bundle may not have all. `past`: as of `would_show`.

        Raises BundleRefused and RefusedError as `replay`.
        """
        question = question_of(record)
        if explain is not None:
            question = msgspec.structs.replace(question, explain=explain)
        if bundle is None:
            if not record.bundle_digest:
                return Again(fallback_decision(question), {}, {}, (), {}, (), ())
            bundle = self.bundle(record)
        if placements is not None:
            asked = tuple(request for request in question.placements if request.name in placements)
            question = msgspec.structs.replace(question, placements=asked)
        past = self.past(record) if past is None else past
        failures: list[str] = []
        outcome = decide(
            question,
            past.profile,
            bundle=bundle,
            facts=self.facts(record, bundle),
            score=lambda model, matrix: (
                self._scores(bundle, model, matrix, failures)
                if ranks or bundle.models[model].entry.kind == "score"
                else np.zeros(len(matrix), np.float32)
            ),
            attribute=lambda model, matrix: self._attributions(bundle, model, matrix, failures),
            draw=draw_from(bundle.policy.site.salt, record.decision_id),
            now_ms=record.time_ms,
        )
        return Again(
            decision=outcome.decision,
            shown=outcome.shown if record.is_kept else {},
            sampled=outcome.matrices if record.sampled or record.sample_probability > 0 else {},
            impressions=counted(outcome.impressions, record.unrendered, is_deferred=record.deferred),
            shadows=outcome.shadows,
            enrolled=outcome.enrolled,
            missing=past.missing,
            notes=(*past.notes, *failures),
            outcome=outcome,
        )

    def would_show(
        self,
        record: DecisionRecord,
        placement: PlacementName,
        slots: Sequence[ItemId],
        bundle: Bundle,
        arm: ArmName | None = None,
        *,
        past: PastProfile | None = None,
    ) -> WouldShow | Reason:
        """What another bundle would have shown (`edgewise.counterfactual`), by the profile and facts of the decision.

        `past`: what `past` says of the record, for whoever asks several bundles. Raises RefusedError as `replay`.
        """
        past = self.past(record) if past is None else past
        return would_show(
            question_of(record),
            past.profile,
            placement,
            slots,
            bundle=bundle,
            facts=self.facts(record, bundle),
            score=lambda model, matrix: self._scores(bundle, model, matrix, []),
            now_ms=record.time_ms,
            arm=arm,
        )

    def past(self, record: DecisionRecord) -> PastProfile:
        """The profile that a decision was made by."""
        position = self._ledger.position_of(record.decision_id)
        return past_profile(self._ledger, record.subject, record.applied, position=position)

    def bundle(self, record: DecisionRecord) -> Bundle:
        """The bundle that decided. Raises BundleRefused when it is not here, or damaged."""
        named = (record.bundle_version, record.bundle_digest)
        if named not in self._bundles:
            while len(self._bundles) >= BUNDLES_KEPT:
                del self._bundles[next(iter(self._bundles))]
            self._bundles[named] = self._load(record)
        return self._bundles[named]

    def facts(self, record: DecisionRecord, bundle: Bundle) -> LiveFacts | None:
        """The live facts that were in force; None where none were. Raises RefusedError when they are not kept."""
        if record.facts_version == NO_FACTS:
            return None
        named = (bundle.digest, record.facts_version)
        made = self._facts.get(named)
        if made is None or made.bundle is not bundle:
            while len(self._facts) >= BUNDLES_KEPT:
                del self._facts[next(iter(self._facts))]
            made = self._facts[named] = LiveFacts(bundle, self._ledger.fact_sheet(record.facts_version))
        return made

    def _load(self, record: DecisionRecord) -> Bundle:
        version, digest = record.bundle_version, record.bundle_digest
        found = None
        if version == 0:
            beside = Path(__file__).parent.parent
            folders = [beside / folder for folder in _STARTER if (beside / folder).is_dir()]
            found = read_bundle(folders[0]) if folders else None
        if found is None or found.digest != digest:
            try:
                found = self._releases.bundle(version)
            except InputError as unknown:
                raise BundleRefused("unknown-release", f"{unknown}; its bundle {digest} is not here") from unknown
        if found.digest != digest:
            raise BundleRefused(
                "digest", f"release {version} here has digest {found.digest}, the decision was made with {digest}"
            )
        return load_bundle(found.manifest, digest, found.resources)

    def _scores(
        self, bundle: Bundle, model: ModelName, matrix: NDArray[np.float32], failures: list[str]
    ) -> NDArray[np.float32]:
        scores = self._run(bundle.models[model].onnx, matrix, f"the model {model}", failures)
        return scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores  # noqa: PLR2004

    def _attributions(
        self, bundle: Bundle, model: ModelName, matrix: NDArray[np.float32], failures: list[str]
    ) -> NDArray[np.float32]:
        twin = bundle.models[model].attribution
        if twin is None:
            raise KeyError(model)
        return self._run(twin, matrix, f"the attribution of the model {model}", failures)

    def _run(self, onnx: bytes, matrix: NDArray[np.float32], what: str, failures: list[str]) -> NDArray[np.float32]:
        """Outputs of a graph. A failure only degrades a decision, so that it has to be told beside it."""
        try:
            return self._child.score(onnx, matrix)
        except EdgewiseError as failed:
            failures.append(f"the scorer failed here on {what}: {failed}")
            raise


def first_difference(record: DecisionRecord, again: Again, replayed: bytes) -> Difference | None:
    """The first difference by path: in the decision, then in what was logged beside it; None when there is none."""
    return (
        decision_difference(record.decision, replayed)
        or rows_difference(record.shown, again.shown, "$.shown")
        or rows_difference(record.sampled, again.sampled, "$.sampled")
        or items_difference(record.impressions, again.impressions, "$.impressions")
        or shadows_difference(record.shadows, again.shadows, "$.shadows")
        or enrolled_difference(record.enrolled, again.enrolled, "$.enrolled")
    )


def replay_decisions(
    data_dir: Path, decision_ids: list[DecisionId], progress: Callable[[int], None] = lambda _done: None
) -> list[Replay]:
    """Replay several decisions of a data folder; raises as `Replayer.replay`."""
    from hub.ledger.ledger import open_ledger

    with open_ledger(data_dir) as ledger, ScoringChild() as child:
        replayer = Replayer(ledger, Releases(data_dir, ledger), child)
        replays = []
        for decision_id in decision_ids:
            replays.append(replayer.replay(decision_id))
            progress(len(replays))
        return replays
