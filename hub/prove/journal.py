"""What visitors have sent, and what they were told: the other half of every account."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable


class Journal:
    """Written by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.acknowledged: dict[str, str] = {}
        """Message id -> its visitor, of every message that some node said it has."""
        self.unknown: dict[str, str] = {}
        """The same of messages that were sent and never answered for: they may be stored, or not."""
        self.decided: set[str] = set()
        """Ids of decisions that were answered."""
        self.retries: Counter[str] = Counter()
        """Requests that broke, or were refused for want of room, and were sent again; by kind of visitor."""
        self.offered_again = 0
        """Events in them."""
        self.wrong: Counter[str] = Counter()
        """What else went wrong, and how often."""

    def kept(self, visitor: str, message_ids: Iterable[str]) -> None:
        """A node has acknowledged these."""
        with self._lock:
            self.acknowledged.update(dict.fromkeys(message_ids, visitor))

    def doubtful(self, visitor: str, message_ids: Iterable[str]) -> None:
        """The visitor has given up on these."""
        with self._lock:
            self.unknown.update(dict.fromkeys(message_ids, visitor))

    def shown(self, decision_id: str) -> None:
        """A decision was answered."""
        with self._lock:
            self.decided.add(decision_id)

    def again(self, kind: str, events: int) -> None:
        """A visitor of some kind has to send once more, so many events among it."""
        with self._lock:
            self.retries[kind] += 1
            self.offered_again += events

    def went_wrong(self, what: str) -> None:
        """An answer that no visitor should get, or none at all for too long."""
        with self._lock:
            self.wrong[what] += 1
