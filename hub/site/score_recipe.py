"""How a score of visitors is trained (`score` in a site's models/NAME.yaml): what it tells, when, and from what.

Everything has a default but what it tells.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from hub.site.recipes import Part

Days = Annotated[int, Meta(ge=1, le=400)]
Minutes = Annotated[int, Meta(ge=1, le=100_000)]
Named = Annotated[str, Meta(min_length=1, max_length=200)]
OTHER: Final = "other"
"""The class of every value that is not among the most frequent ones."""


class Reason(StrEnum):
    """Why a cart was left, as far as weak rules can tell: nobody has said (`hub.train.scores.weak_labels`)."""

    SHIPPING_COST = "shipping_cost"
    COUPON = "coupon"
    """Left to find, or for want of, a code."""
    PRICE_COMPARISON = "price_comparison"
    ACCOUNT_WALL = "account_wall"
    QUESTION = "question"
    """Of size, delivery or payment, that nobody answered."""
    JUST_BROWSING = "just_browsing"


class WeakRule(StrEnum):
    """What speaks for a reason: see `hub.train.scores.weak_labels`, which says each in a sentence."""

    SHIPPING_EXIT = "shipping_exit"
    SHIPPING_PAGE = "shipping_page"
    COUPON_SEARCH = "coupon_search"
    COUPON_REFUSED = "coupon_refused"
    ALTERNATIVES = "alternatives"
    PRICE_SORTING = "price_sorting"
    ACCOUNT_EXIT = "account_exit"
    ACCOUNT_UNSOLVED = "account_unsolved"
    QUESTION_PAGE = "question_page"
    TICKET = "ticket"
    NO_CART = "no_cart"
    ONLY_A_LOOK = "only_a_look"


class Purchase(msgspec.Struct, frozen=True, tag="purchase", tag_field="tells"):
    """The probability that the visitor orders something within `days` after the moment."""

    days: Days


class Churn(msgspec.Struct, frozen=True, tag="churn", tag_field="tells"):
    """The probability that no later visit of his begins within `days` after the moment."""

    days: Days


class NextCategory(msgspec.Struct, frozen=True, tag="next_category", tag_field="tells"):
    """What the visitor is out for; a probability for each value of `dimension`.

    `touch`: which value the next touched item has, if it comes within `minutes`. `visit`: asked when he arrives, which
    value he will touch most often in the visit that begins.
    """

    dimension: Literal["category", "brand", "topic"] = "category"
    next: Literal["touch", "visit"] = "touch"
    minutes: Minutes = 30
    most_classes: Annotated[int, Meta(ge=2, le=100)] = 20
    """The most frequent values; all others are `other`."""


class Abandonment(msgspec.Struct, frozen=True, tag="abandonment", tag_field="tells"):
    """Why a cart was left for `idle_minutes`; a probability for each reason that rules speak for."""

    idle_minutes: Minutes = 60
    rules: list[WeakRule] | None = None
    """All of them where they are not named."""
    checkout_steps: dict[str, Literal["account", "shipping", "payment"]] = {}
    """What the shop's checkout steps are, as `Checkout Step Viewed` names or numbers them in `step`."""
    words: dict[Literal["account", "shipping", "coupon", "question"], list[Named]] = {}
    """Words of the shop's language that paths, page names and searches have, in place of the English ones."""


class TraitScore(msgspec.Struct, frozen=True, tag="trait", tag_field="tells"):
    """A trait that some visitors have stated (career stage, occupation), for those who have not.

    A probability for each of its values; with `value`, the probability of that one.
    """

    trait: Named
    value: str | None = None
    most_classes: Annotated[int, Meta(ge=2, le=100)] = 20
    moments: Annotated[int, Meta(ge=1, le=50)] = 4
    """Visits of one visitor that make rows, the latest ones."""


Tells = Purchase | Churn | NextCategory | Abandonment | TraitScore


class Calendar(msgspec.Struct, frozen=True):
    """Rows on fixed days instead of within visits: for scores that are asked for while nobody is there."""

    every_days: Annotated[int, Meta(ge=1, le=100)] = 7
    active_days: Days = 90
    """Only of visitors who were seen in so many days before."""


class ScoreTrees(msgspec.Struct, frozen=True):
    """LightGBM's settings, under its own names. Few and small: a score is asked for in every decision."""

    rounds: Annotated[int, Meta(ge=1, le=1_000)] = 60
    num_leaves: Annotated[int, Meta(ge=2, le=63)] = 7
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 0.08
    min_data_in_leaf: Annotated[int, Meta(ge=1)] = 30
    feature_fraction: Annotated[float, Meta(gt=0, le=1)] = 0.9
    lambda_l2: Annotated[float, Meta(ge=0)] = 1.0


class ScoreRecipe(msgspec.Struct, frozen=True):
    """The whole recipe."""

    predicts: Tells
    features: list[str] | None = None
    """Columns of the feature table that it takes; where they are not named, all that no candidate changes."""
    calendar: Calendar | None = None
    """None: rows at one moment of each visit, as a page would have asked."""
    calibration_share: Part = 0.2
    """Share of the rows, by time behind those that trees learn from, that calibrate."""
    validation_share: Part = 0.2
    """Share of the rows, the latest ones, that the model is judged on."""
    most_rows: Annotated[int, Meta(ge=100, le=1_000_000)] = 30_000
    """More are drawn from."""
    trees: ScoreTrees = ScoreTrees()
