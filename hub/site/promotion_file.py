"""The shape of `promotions/NAME.yaml`: which codes are promised where items of the promotion are shown."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgewise.bundle.promotions import MOST_CODES, MOST_VALID_DAYS, Discount, WhenOut
from edgewise.ids import CollectionName
from hub.site.files import Moment


class PromotionFile(msgspec.Struct, frozen=True):
    """Personal codes; fields as of `edgewise.bundle.promotions.Promotion`."""

    discount: Discount
    total: Annotated[int, Meta(ge=1, le=MOST_CODES)]
    per_person: Annotated[int, Meta(ge=1, le=1_000)] = 1
    valid_days: Annotated[int, Meta(ge=1, le=MOST_VALID_DAYS)] = 14
    starts: Moment | None = None
    ends: Moment | None = None
    minimum_order: Annotated[float, Meta(ge=0)] = 0.0
    collection: CollectionName | None = None
    when_out: WhenOut = "hide"
    generation: Annotated[int, Meta(ge=1, le=31)] = 1
