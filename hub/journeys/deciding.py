"""What a mail offers, by the same `decide` that nodes answer pages with, over the hub's profile of a person."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.facts import NO_FACTS
from edgewise.bundle.promotions import PromotionName
from edgewise.consent import SILENCE, effective
from edgewise.decide import Outcome, decide
from edgewise.dial import DIAL_NOTHING, DIAL_PAGE
from edgewise.draws import draw_from
from edgewise.eligibility import may_personalise
from edgewise.errors import UnavailableError
from edgewise.ids import BundleVersion, DecisionId, ItemId, ModelName, PlacementName, Producer, SubjectId, ulid
from edgewise.keeping import kept_for_learning
from edgewise.live_facts import LiveFacts
from edgewise.profile.preferences import Preferences, decode_preferences
from edgewise.profile.state import Profile, decode_profile
from edgewise.promises import NO_PROMISES, Promises
from edgewise.question import Question
from edgewise.reasons import Reason
from edgewise.recorded import recorded
from edgewise.records import DecisionRecord
from edgewise.rendering import ShownItem
from edgewise.request import Context, PlacementRequest
from hub.codes.mailing import MailCodes
from hub.journeys.carts import to_be_had
from hub.journeys.watching import Champions
from hub.ledger.ledger import Ledger
from hub.release.held_back import champion_arm
from hub.release.releases import Releases
from hub.scoring_child import ScoringChild
from hub.site.journey_file import JourneyFile

UNPERSONAL: Final = (Reason.HOLDOUT, Reason.OPTED_OUT)
_PRODUCER: Final = Producer("mail/outbox")
"""Whoever sends gives the record its own name and number (`hub.mail.sending`)."""
BundleNow = Callable[[], Bundle | None]


class Will(NamedTuple):
    """A person as a decision sees him."""

    profile: Profile
    preferences: Preferences


class Decided(NamedTuple):
    """A decision, with what it was made of."""

    outcome: Outcome
    bundle: Bundle
    """As the live facts of the moment change it."""
    record: DecisionRecord


class LiveBundle:
    """The bundle of the release that nodes run by default, loaded once a release."""

    def __init__(self, releases: Releases) -> None:
        self._releases = releases
        self._known: tuple[BundleVersion, Bundle] | None = None

    def __call__(self) -> Bundle | None:
        """None before the first promotion. Raises as `Releases.live` and `Releases.bundle`."""
        version = self._releases.live()
        if version is None:
            return None
        known = self._known
        if known is None or known[0] != version:
            built = self._releases.bundle(version)
            known = version, load_bundle(built.manifest, built.digest, built.resources)
            self._known = known
        return known[1]


class Decider(Champions):
    """Decides for one hub; not for several threads."""

    def __init__(self, ledger: Ledger, bundle: BundleNow, child: ScoringChild, codes: MailCodes | None = None) -> None:
        """Without `codes` nothing is decided that is shown only with a code."""
        self._codes = codes
        self._ledger = ledger
        self._bundle = bundle
        self._child = child
        self._facts: tuple[Bundle, int, LiveFacts] | None = None

    @override
    def is_champion(self, journey: JourneyFile, person: SubjectId, now_ms: int) -> bool:
        """As `Champions`. Raises UnavailableError as `decide`."""
        placement = journey.steps[0].treatments
        made = self.decide(person, (placement,), key=f"{person}/arm", now_ms=now_ms, context=Context())
        found = made.outcome.decision.placements[placement]
        of = made.bundle.policy.placements[placement]
        return found.reason in UNPERSONAL or found.policy == champion_arm(made.bundle.policy, of, journey)

    def will_of(self, person: SubjectId) -> Will:
        """His profile and what he has stated; empty of somebody who is not known. Raises where it is damaged."""
        stored = self._ledger.person_profiles([person]).get(person)
        if stored is None:
            return Will(Profile(), Preferences())
        return Will(decode_profile(stored.profile), decode_preferences(stored.preferences))

    def decide(
        self,
        person: SubjectId,
        placements: tuple[PlacementName, ...],
        *,
        key: str,
        now_ms: int,
        context: Context,
        mail: str = "",
        left_out: Mapping[PlacementName, list[ItemId]] = MappingProxyType({}),
    ) -> Decided:
        """Decide for one person, without the items `left_out` of a placement; `mail` keeps the code that it has.

        The same key at the same moment makes the same decision.

        Raises UnavailableError while no release is live that has the placements.
        """
        bundle = self._bundle()
        missing = [name for name in placements if bundle is None or name not in bundle.policy.placements]
        if bundle is None or missing:
            what = f"has no placement {missing[0]!r}" if bundle is not None else "is none"
            raise UnavailableError(f"the live release {what}; apply the site, approve and promote the release")
        site, will, offers = bundle.policy.site, self.will_of(person), bundle.policy.offers
        dial = will.preferences.dial.value
        entropy = hashlib.blake2b(f"{key}/{now_ms}".encode(), digest_size=10, key=site.salt.encode()[:64]).digest()
        grants = effective(
            stored=will.preferences.stored_consent,
            asked=SILENCE,
            default=site.default_consent,
            opted_out=dial == DIAL_NOTHING,
            global_privacy_control=False,
        )
        may_know = may_personalise(grants, dial) and dial > DIAL_PAGE
        question = Question(
            decision_id=DecisionId(ulid(now_ms, entropy)),
            unit=person,
            placements=tuple(PlacementRequest(name, exclude=left_out.get(name, [])) for name in placements),
            context=context,
            grants=grants,
            dial=dial,
            mute=will.preferences.mute.value,
            explain=True,
            unpromised=self._codes.unpromised(offers, mail, now_ms) if self._codes and may_know else tuple(offers),
        )
        facts = self._facts_of(bundle)
        outcome = decide(
            question,
            will.profile,
            bundle=bundle,
            facts=facts,
            score=lambda model, matrix: self._score(bundle, model, matrix),
            draw=draw_from(site.salt, question.decision_id),
            now_ms=now_ms,
        )
        record = recorded(
            question,
            outcome,
            will.profile,
            kept_for_learning(site, question.decision_id),
            producer=_PRODUCER,
            seq=0,
            subject=person,
            now_ms=now_ms,
            is_deferred=True,
        )
        return Decided(outcome, bundle if facts is None else facts.at(now_ms), record)

    def cart(
        self, made: Decided, placement: PlacementName | None, items: Sequence[ItemId], now_ms: int
    ) -> list[ShownItem]:
        """What of a cart can still be had, as a placement shows items; nothing without a placement."""
        if placement is None or not items:
            return []
        return to_be_had(made.bundle, placement, items, mute=made.record.mute, now_ms=now_ms)

    def promises(self, made: Decided, person: SubjectId, mail: str, now_ms: int) -> Promises:
        """The codes that come with what was decided; each costs a place of its promotion's total, once a mail."""
        shown: dict[ItemId, PromotionName] = {}
        for placed in made.outcome.decision.placements.values():
            for chosen in placed.items:
                item = made.bundle.item(chosen.id) if chosen.content_digest else None
                if item is not None and item.promotion is not None and item.promotion not in made.record.unpromised:
                    shown[chosen.id] = item.promotion
        return NO_PROMISES if self._codes is None or not shown else self._codes.promise(shown, person, mail, now_ms)

    def _facts_of(self, bundle: Bundle) -> LiveFacts | None:
        newest = self._ledger.newest_facts()
        if newest is None or newest.version == NO_FACTS:
            return None
        known = self._facts
        if known is None or known[0] is not bundle or known[1] != newest.version:
            known = bundle, newest.version, LiveFacts(bundle, self._ledger.fact_sheet(newest.version))
            self._facts = known
        return known[2]

    def _score(self, bundle: Bundle, model: ModelName, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = self._child.score(bundle.models[model].onnx, matrix)
        return scores[:, 0] if scores.ndim == 2 and scores.shape[1] == 1 else scores  # noqa: PLR2004
