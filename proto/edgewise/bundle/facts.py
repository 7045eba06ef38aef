"""facts/live.json: numbers about items that change faster than releases: stock, prices, trends, counts.

The resource is signed by the online role `facts`, apart from every release. It holds numbers only, and what a number
may do is bounded by the release: a sheet can sell an item out, and it can move those numeric attributes that the
site declares as live (`edgewise.bundle.policy.LiveFact`), as far as the site lets it. It approves nothing, adds no
item and changes no content but for numbers that the site shows live (`edgewise.live_contents`).
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edgewise.bundle.refusal import malformed, require
from edgewise.ids import ItemId

FACTS_TARGET: Final = "facts/live.json"
"""Path of the TUF target, delegated to the role `facts`."""
FACTS_MOST_BYTES: Final = 16 << 20
MOST_NAMES: Final = 32
MOST_ID_CHARACTERS: Final = 200
"""Of an item's id."""
NAME_PATTERN: Final = "^[a-z][a-z0-9_]{0,63}$"
MOST_NUMBERS: Final = 400_000
"""Numbers of one sheet, over all names."""
LARGEST: Final = 1e12
"""No number is farther from zero: in float32, in which models take it, larger ones lose their units."""
STOCK: Final = "stock"
"""An item whose stock is 0 or less is sold out: it is offered nowhere. This one needs no declaration. Where
live facts say nothing of it, what the release says counts."""
NO_FACTS: Final = 0
"""The version that a record names where no live fact was in force."""

FactName = Annotated[str, Meta(pattern=NAME_PATTERN)]
FactNumber = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]


class FactSheet(msgspec.Struct, frozen=True, omit_defaults=True):
    """All live facts of a site at one moment. `version` grows with every change; a node never goes back."""

    version: Annotated[int, Meta(ge=1, le=2**62)]
    issued_ms: Annotated[int, Meta(ge=0, le=2**62)]
    expires_ms: Annotated[int, Meta(ge=0, le=2**62)]
    """From then on the numbers do not hold any more; what was sold out stays so."""
    halted: bool = False
    """The kill switch: this sheet says nothing, and the released catalogue alone counts."""
    columns: Annotated[
        dict[FactName, dict[Annotated[ItemId, Meta(min_length=1, max_length=MOST_ID_CHARACTERS)], FactNumber]],
        Meta(max_length=MOST_NAMES),
    ] = {}
    """Name -> item -> number."""

    @property
    def numbers(self) -> int:
        """How many it holds."""
        return sum(map(len, self.columns.values()))

    def sold_out(self) -> frozenset[ItemId]:
        """Items that must not be offered, also those that no catalogue knows."""
        return frozenset(item for item, stock in self.columns.get(STOCK, {}).items() if stock <= 0)

    def in_stock(self) -> frozenset[ItemId]:
        """Items that are there, also where a release says that they are sold out."""
        return frozenset(item for item, stock in self.columns.get(STOCK, {}).items() if stock > 0)


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(FactSheet)


def encode_facts(sheet: FactSheet) -> bytes:
    """Canonical bytes: equal sheets have equal digests."""
    return _encoder.encode(sheet)


def decode_facts(data: bytes) -> FactSheet:
    """Decode and check. JSON can spell neither NaN nor infinity, so that every number is finite.

    Raises:
        BundleRefused: `too_large`, `malformed` or `invalid`, with the place; nothing else, whatever the bytes are.
    """
    message = f"{len(data)} bytes, at most {FACTS_MOST_BYTES} are taken"
    require(len(data) <= FACTS_MOST_BYTES, "too_large", FACTS_TARGET, message, "$")
    try:
        sheet = _decoder.decode(data)
    except (ValueError, RecursionError) as wrong:
        malformed(FACTS_TARGET, wrong)
    message = f"{sheet.numbers} numbers, at most {MOST_NUMBERS} are taken"
    require(sheet.numbers <= MOST_NUMBERS, "too_large", FACTS_TARGET, message, "$.columns")
    message = f"it expires at {sheet.expires_ms} ms, but was issued at {sheet.issued_ms} ms"
    require(sheet.expires_ms > sheet.issued_ms, "invalid", FACTS_TARGET, message, "$.expires_ms")
    message = f"a halted sheet holds {sheet.numbers} numbers; expected none"
    require(not (sheet.halted and sheet.columns), "invalid", FACTS_TARGET, message, "$.columns")
    return sheet
