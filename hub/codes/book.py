"""The hub's book of promotion codes: what nodes may promise, and what becomes of a code that somebody presents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from edgewise.bundle.policy import Policy
from edgewise.bundle.promotions import Promotion, PromotionName
from edgewise.clock import Clock
from edgewise.codes.code import KEY_BYTES, Code, CodeKey, keys_of, letters_of, verify
from edgewise.codes.refusals import Denial, denial_of
from edgewise.codes.stock import Lease
from edgewise.ids import NodeId, SubjectId
from edgewise.profile.state import DAY_MS
from hub.ledger.code_leases import Held, LeaseRow
from hub.ledger.code_redemptions import Presented
from hub.ledger.ledger import Ledger

LEASE_MS: Final = DAY_MS
"""A node that is cut off goes on promising for so long, out of what it has."""
MOST_WANTED: Final = 4_096
"""Numbers of one promotion that one node may have left at a time."""
_ID_BYTES: Final = 16

Promotions = Callable[[], Mapping[PromotionName, Promotion]]
"""What the released policy says. Raises EdgewiseError where that cannot be read."""


def released_promotions(policy: Callable[[], Policy | None]) -> Promotions:
    """Of the policy that nodes run by default; none before the first promotion of a release."""

    def promotions() -> Mapping[PromotionName, Promotion]:
        released = policy()
        return {} if released is None else released.offers

    return promotions


class Lent(NamedTuple):
    """All that one incarnation of a node has from now on."""

    leases: list[Lease]
    keys: list[CodeKey]
    revoked: list[tuple[PromotionName, int]]
    forgotten: Sequence[str] = ()
    """Leases that the node has from this hub, and that its ledger does not know: it was restored from a backup."""


class Purchase(NamedTuple):
    """What a code is presented for."""

    order: str
    """The shop's id of it."""
    time_ms: int
    """When it was placed."""
    value: float | None = None
    """In the site's currency, before the discount; None: not said, so that no minimum is asked."""
    channel: str = "api"


class Verdict(NamedTuple):
    """What became of a code."""

    code: Code | None
    """What it says; None where no promotion has signed it."""
    denial: Denial | None
    """None: it is redeemed, or it would be."""
    is_new: bool = False
    """It was redeemed just now, and not before for the same order."""


class CodeBook:
    """Safe to use from several threads: the ledger has one writer."""

    def __init__(
        self,
        ledger: Ledger,
        promotions: Promotions,
        clock: Clock,
        entropy: Callable[[int], bytes],
        *,
        lease_ms: int = LEASE_MS,
    ) -> None:
        self._ledger = ledger
        self._promotions = promotions
        self._clock = clock
        self._entropy = entropy
        self._lease_ms = lease_ms

    def lend(self, node: NodeId, incarnation: str, held: Sequence[Held], wants: Mapping[PromotionName, int]) -> Lent:
        """One exchange with a node. Raises EdgewiseError when the ledger or the release is away."""
        promotions, now_ms = self._promotions(), self._clock.now_ms()
        if not (promotions or held or wants):
            return Lent([], [], [])  # a site without codes: nobody need wait for the ledger's writer
        keys = self._ledger.code_keys(promotions, [self._entropy(KEY_BYTES) for _ in promotions], now_ms)
        leases = self._ledger.exchange_codes(
            node,
            incarnation,
            held,
            {name: min(most, MOST_WANTED) for name, most in wants.items()},
            promotions=promotions,
            lease_ms=self._lease_ms,
            now_ms=now_ms,
            names=[self._entropy(_ID_BYTES).hex() for _ in wants],
        )
        forgotten = self._ledger.forgotten_leases(held) if held else []
        return Lent(leases, keys, self._ledger.revoked_codes(), forgotten)

    def promise_one(self, lease: str, name: PromotionName, node: NodeId) -> tuple[LeaseRow, CodeKey] | None:
        """One number that counts as promised from now on; the same one again for the same `lease`.

        None where there is none. Raises EdgewiseError when the ledger or the release is away.
        """
        promotion, now_ms = self._promotions().get(name), self._clock.now_ms()
        if promotion is None:
            return None
        (key,) = self._ledger.code_keys({name: promotion}, [self._entropy(KEY_BYTES)], now_ms)
        lent = self._ledger.lend_code(lease, node, name, promotion, lease_ms=self._lease_ms, now_ms=now_ms)
        return None if lent is None else (lent, key)

    def redeem(self, text: str, purchase: Purchase, subjects: Collection[SubjectId]) -> Verdict:
        """Redeem a code for an order; the same order again is the same redemption. `subjects` are the person's.

        Raises UnavailableError when the ledger is away; then nothing is redeemed.
        """
        code, promotion, denial = self._looked_at(text, subjects, purchase.time_ms, purchase.value)
        if denial is not None or code is None or promotion is None:
            if code is not None and self._ledger.was_redeemed_for(code, purchase.order):
                # A shop asks again when it has not heard the answer, and the code may have ended since.
                return Verdict(code, None)
            self._ledger.deny_code(None if code is None else code.promotion, denial or Denial.UNKNOWN)
            return Verdict(code, denial)
        ordered = [subject for subject in subjects if subject]
        shown = Presented(code, purchase.order, ordered, purchase.time_ms, purchase.channel)
        denied, is_new = self._ledger.redeem_code(shown, promotion, self._clock.now_ms())
        return Verdict(code, denied, is_new)

    def check(self, text: str, subjects: Collection[SubjectId] | None) -> Verdict:
        """Whether a code would be redeemed now, without doing it; `subjects` None: whoever presents it."""
        now_ms = self._clock.now_ms()
        code, _, denial = self._looked_at(text, subjects, now_ms, None)
        if denial is not None or code is None:
            return Verdict(code, denial)
        standing = self._ledger.code_standing(code)
        if standing.redeemed_ms is not None:
            return Verdict(code, Denial.ALREADY_REDEEMED)
        if standing.revoked_ms is not None:
            return Verdict(code, Denial.REVOKED)
        return Verdict(code, Denial.RETURNED if standing.lease is None else None)

    def revoke(self, text: str, *, who: str, reason: str) -> Verdict:
        """Take a code back; `denial` says why that was not possible."""
        code = verify(text, keys_of(self._ledger.all_code_keys()))
        if code is None:
            return Verdict(None, Denial.MALFORMED if letters_of(text) is None else Denial.UNKNOWN)
        is_revoked = self._ledger.revoke_code(code, who, reason, self._clock.now_ms())
        return Verdict(code, None if is_revoked else Denial.ALREADY_REDEEMED, is_revoked)

    def terms(self) -> dict[PromotionName, Promotion]:
        """Every promotion, as released now, or as it was when codes of it were last lent."""
        kept = {
            budget.promotion: msgspec.convert(budget.terms, Promotion)
            for budget in self._ledger.budgets()
            if budget.terms
        }
        return {**kept, **self._promotions()}

    def _looked_at(
        self, text: str, subjects: Collection[SubjectId] | None, time_ms: int, value: float | None
    ) -> tuple[Code | None, Promotion | None, Denial | None]:
        """What a code says of itself, and what its promotion says to that."""
        keys = keys_of(self._ledger.all_code_keys())
        code = verify(text, keys)
        if code is None:
            return None, None, Denial.MALFORMED if letters_of(text) is None else Denial.UNKNOWN
        promotion = self.terms().get(code.promotion)
        if promotion is None or code.generation != promotion.generation:
            return code, None, Denial.UNKNOWN
        return code, promotion, denial_of(code, promotion, keys, subjects, time_ms=time_ms, value=value)
