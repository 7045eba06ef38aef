"""The node's leases of promotion codes: one file, changed under a lock by the agent and the workers, and made durable.

    SHA-256 of the rest, hex digits
    edgewise.codes.stock.Stock, MessagePack

Durable before it is used: a worker takes a handful of numbers at a time, and promises one of them only when the file
that is without them has reached the disk. What a disk has damaged is taken for nothing; the hub then lends other
numbers, and what was promised holds on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from edge.node.bundles import sha256
from edge.node.claims import hold_file
from edge.node.durable import replace_file
from edge.node.layout import NodePaths
from edgewise.bundle.promotions import PromotionName
from edgewise.codes.stock import Number, Stock
from edgewise.errors import MALFORMED

_DIGEST_BYTES: Final = 65
"""64 digits and a newline."""

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decoder = msgspec.msgpack.Decoder(Stock)


class StockFile:
    """The file `codes` of a node. Every call blocks for the lock, and for the disk where something changes."""

    def __init__(self, paths: NodePaths) -> None:
        self._path = paths.codes
        self._lock = paths.codes_lock

    def generation(self) -> object:
        """Equal as long as the file was not replaced; one stat, so it may be asked every few milliseconds."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns)

    def stock(self) -> Stock:
        """What is there; nothing where there is no file, or a damaged one."""
        try:
            data = self._path.read_bytes()
        except OSError:
            return Stock()
        digest, packed = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if digest != f"{sha256(packed)}\n".encode():
            return Stock()
        try:
            return _decoder.decode(packed)
        except MALFORMED:
            return Stock()

    def change(self, change: Callable[[Stock], Stock]) -> Stock:
        """Replace the stock by what `change` makes of it, durably, unless that is the same.

        Raises OSError when the disk does not take it; then nothing has changed.
        """
        with hold_file(self._lock, wait=True):
            before = self.stock()
            after = change(before)
            if after != before:
                packed = _encode(after)
                replace_file(self._path, f"{sha256(packed)}\n".encode() + packed)
        return after

    def take(self, promotion: PromotionName, most: int, now_ms: int) -> list[Number]:
        """Numbers that nobody else will get; where none are left the agent is told to ask. Raises OSError."""
        taken: list[Number] = []

        def change(stock: Stock) -> Stock:
            after, numbers = stock.take(promotion, most, now_ms)
            taken.extend(numbers)
            return after if after.left(promotion, now_ms) else after.wants(promotion)

        self.change(change)
        return taken

    def bring_back(self, unused: Iterable[Number]) -> None:
        """Numbers that were taken and never promised. Raises OSError."""
        self.change(lambda stock: stock.bring_back(unused))
