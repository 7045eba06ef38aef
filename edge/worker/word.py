"""What a worker says of itself, written down beside its event loop.

Replacing a file renames it, and a rename waits for a busy disk (90 ms were seen): in the loop every visitor would wait
with it. So the word is spoken in the loop, where nothing changes under it, and written by a thread.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path

from edge.node.durable import replace_file
from edge.node.status import WorkerStatus, write_status
from edge.worker.tally import Tally, encode_tally


class Word:
    """The two files of one worker. A word that comes late never replaces a newer one."""

    def __init__(self, status_file: Path, tally_file: Path) -> None:
        self._status_file = status_file
        self._tally_file = tally_file
        self._turns = itertools.count(1)
        self._writing = threading.Lock()
        self._written_turn = 0

    def spoken(self, status: WorkerStatus, tally: Tally) -> Callable[[], None]:
        """To be called by any thread; it raises OSError when the files cannot be written."""
        turn, counted = next(self._turns), encode_tally(tally)

        def write() -> None:
            with self._writing:
                if turn > self._written_turn:
                    write_status(self._status_file, status)
                    replace_file(self._tally_file, counted, durable=False)
                    self._written_turn = turn

        return write
