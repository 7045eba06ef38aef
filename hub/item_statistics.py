"""Numbers about items that training computed: popularity, mean rating. A bundle's catalogue holds them as attributes.

They belong to a model, not to the item files: a model's rows must be made with the numbers that were known at the
time, and served with those of its own last training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from edgewise.bundle.catalogue import AttributeValue, Catalogue, Item
from edgewise.errors import ModelRefused
from edgewise.ids import ItemId


class ItemStatistic(msgspec.Struct, frozen=True):
    """One attribute of every item."""

    values: dict[ItemId, float]
    otherwise: float | None = None
    """For items that nothing is known of; None: they have no such attribute."""


ItemStatistics = Mapping[str, ItemStatistic]
"""Attribute -> its values."""

_decoder = msgspec.json.Decoder(dict[str, ItemStatistic])
_encoder = msgspec.json.Encoder(order="deterministic")


def encode_statistics(statistics: ItemStatistics) -> bytes:
    """Canonical bytes."""
    return _encoder.encode(statistics)


def decode_statistics(data: bytes) -> dict[str, ItemStatistic]:
    """Raises `msgspec.ValidationError` with the path of what is wrong."""
    return _decoder.decode(data)


def joined_statistics(parts: Iterable[ItemStatistics]) -> dict[str, ItemStatistic]:
    """The statistics of several models in one.

    Raises:
        ModelRefused: `statistics`: two models state one attribute differently.
    """
    joined: dict[str, ItemStatistic] = {}
    for part in parts:
        for attribute, statistic in part.items():
            if joined.setdefault(attribute, statistic) != statistic:
                raise ModelRefused(
                    "statistics", f"two models bring different values of the item attribute {attribute!r}; rename one"
                )
    return joined


def with_statistics(catalogue: Catalogue, statistics: ItemStatistics) -> Catalogue:
    """The catalogue with these attributes, in place of what it said of them."""
    return Catalogue([_with(item, statistics) for item in catalogue.items]) if statistics else catalogue


def _with(item: Item, statistics: ItemStatistics) -> Item:
    attributes: dict[str, AttributeValue] = {
        name: value for name, value in item.attributes.items() if name not in statistics
    }
    for name, statistic in statistics.items():
        value = statistic.values.get(item.id, statistic.otherwise)
        if value is not None:
            attributes[name] = value
    return msgspec.structs.replace(item, attributes=attributes)
