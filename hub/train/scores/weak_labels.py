"""Why carts are left, as far as simple rules can tell: weak labels, because nobody has said.

Each rule speaks for one reason or says nothing. None is right alone: `hub.train.scores.label_model` weighs them by how
they agree. What the labels come to is an opinion of these rules, and a card says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub.site.score_recipe import Reason, WeakRule
from hub.train.scores.carts import LeftCart, Step

MANY_ALIKE: Final = 3
FEW_STEPS: Final = 4
_CHECKING_OUT: Final = frozenset({Step.CHECKOUT, Step.ACCOUNT_STEP, Step.SHIPPING_STEP, Step.PAYMENT_STEP})
_AT_ACCOUNT: Final = frozenset({Step.ACCOUNT_STEP, Step.ACCOUNT_PAGE})
_ASKING: Final = frozenset({Step.QUESTION_PAGE, Step.TICKET})
_FUNNEL: Final = _CHECKING_OUT | {Step.STEP_DONE, Step.ACCOUNT_PAGE, Step.SIGNED_IN}

Steps = Sequence[Step]


class Rule(NamedTuple):
    """One weak rule."""

    name: WeakRule
    reason: Reason
    sentence: str
    """What it looks at, for people."""
    speaks: Callable[[Steps], bool]
    """Whether the steps of a left cart are as the sentence says."""


def _last_of(steps: Steps, among: frozenset[Step]) -> Step | None:
    return next((step for step in reversed(steps) if step in among), None)


def _exit_at_shipping(steps: Steps) -> bool:
    return _last_of(steps, _FUNNEL) is Step.SHIPPING_STEP


def _shipping_page(steps: Steps) -> bool:
    return Step.SHIPPING_PAGE in steps


def _coupon_search(steps: Steps) -> bool:
    return Step.COUPON_SOUGHT in steps and Step.COUPON_USED not in steps


def _coupon_refused(steps: Steps) -> bool:
    return Step.COUPON_REFUSED in steps and Step.COUPON_USED not in steps


def _alternatives(steps: Steps) -> bool:
    return steps.count(Step.ALIKE) >= MANY_ALIKE


def _price_sorting(steps: Steps) -> bool:
    return Step.PRICE_SORTED in steps


def _exit_at_account(steps: Steps) -> bool:
    return _last_of(steps, _FUNNEL) in _AT_ACCOUNT


def _account_unsolved(steps: Steps) -> bool:
    return sum(step in _AT_ACCOUNT for step in steps) > 1 and Step.SIGNED_IN not in steps


def _question_page(steps: Steps) -> bool:
    return Step.QUESTION_PAGE in steps


def _ticket(steps: Steps) -> bool:
    return Step.TICKET in steps


def _no_cart(steps: Steps) -> bool:
    return Step.CART not in steps and _CHECKING_OUT.isdisjoint(steps)


def _only_a_look(steps: Steps) -> bool:
    return len(steps) <= FEW_STEPS and _FUNNEL.isdisjoint(steps) and _ASKING.isdisjoint(steps)


RULES: Final = (
    Rule(
        WeakRule.SHIPPING_EXIT,
        Reason.SHIPPING_COST,
        "The last step of the checkout was the one that shows what shipping costs.",
        _exit_at_shipping,
    ),
    Rule(WeakRule.SHIPPING_PAGE, Reason.SHIPPING_COST, "A page about shipping costs was opened.", _shipping_page),
    Rule(
        WeakRule.COUPON_SEARCH,
        Reason.COUPON,
        "A coupon was looked for or entered, and none was used.",
        _coupon_search,
    ),
    Rule(WeakRule.COUPON_REFUSED, Reason.COUPON, "A coupon was refused, and none was used.", _coupon_refused),
    Rule(
        WeakRule.ALTERNATIVES,
        Reason.PRICE_COMPARISON,
        f"At least {MANY_ALIKE} times another item of a category in the cart was looked at.",
        _alternatives,
    ),
    Rule(WeakRule.PRICE_SORTING, Reason.PRICE_COMPARISON, "A list was sorted by price.", _price_sorting),
    Rule(
        WeakRule.ACCOUNT_EXIT,
        Reason.ACCOUNT_WALL,
        "The last step of the checkout was a page to sign in or to open an account.",
        _exit_at_account,
    ),
    Rule(
        WeakRule.ACCOUNT_UNSOLVED,
        Reason.ACCOUNT_WALL,
        "Pages to sign in or to open an account were opened more than once, without signing in.",
        _account_unsolved,
    ),
    Rule(
        WeakRule.QUESTION_PAGE,
        Reason.QUESTION,
        "A page was opened, or a search made, about sizes, delivery, payment, returns or help.",
        _question_page,
    ),
    Rule(WeakRule.TICKET, Reason.QUESTION, "A ticket was opened.", _ticket),
    Rule(WeakRule.NO_CART, Reason.JUST_BROWSING, "Neither the cart nor the checkout was opened.", _no_cart),
    Rule(
        WeakRule.ONLY_A_LOOK,
        Reason.JUST_BROWSING,
        f"At most {FEW_STEPS} steps, no checkout and no question.",
        _only_a_look,
    ),
)


def chosen(names: Sequence[WeakRule] | None) -> tuple[Rule, ...]:
    """The rules of these names, in the order of RULES; all of them for None."""
    return tuple(rule for rule in RULES if names is None or rule.name in names)


def spoken(carts: Sequence[LeftCart], rules: Sequence[Rule]) -> NDArray[np.bool_]:
    """Which rule speaks of which cart, (carts, rules)."""
    return np.array([[rule.speaks(cart.steps) for rule in rules] for cart in carts], np.bool_).reshape(
        len(carts), len(rules)
    )
