"""The node's leases of promotion codes: one file, changed under a lock by the agent and the workers, and made durable.

    SHA-256 of the rest, hex digits
    edgewise.codes.stock.Stock, MessagePack

Durable before it is used: a worker takes a handful of numbers at a time, and promises one of them only when the file
that is without them has reached the disk. What a disk has damaged is taken for nothing; the hub then lends other
numbers, and what was promised holds on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from edge.node.claims import hold_file
from edge.node.digested_file import DigestedFile
from edge.node.layout import NodePaths
from edgewise.bundle.promotions import PromotionName
from edgewise.codes.stock import Number, Stock
from edgewise.errors import MALFORMED

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decoder = msgspec.msgpack.Decoder(Stock)


class StockFile:
    """The file `codes` of a node. Every call blocks for the lock, and for the disk where something changes."""

    def __init__(self, paths: NodePaths) -> None:
        self._file = DigestedFile(paths.codes)
        self._lock = paths.codes_lock

    def generation(self) -> object:
        """Equal as long as the file was not replaced; one stat, so it may be asked every few milliseconds."""
        return self._file.generation()

    def stock(self) -> Stock:
        """What is there; nothing where there is no file, or a damaged one."""
        packed = self._file.read()
        if packed is None:
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
                self._file.replace(_encode(after))
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
