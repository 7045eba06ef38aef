"""Whether the account of a dead worker is closed, so that what it left behind may be deleted.

A worker that is killed has numbered records after its last word (`run/tally-INDEX.json`, half a second old at most).
Its successor finds them in the spool; an agent that ships and deletes them before the successor has looked would make
the node forget that they were ever created.
"""

from __future__ import annotations

import msgspec

from edge.node.layout import NodePaths, ProducerKey
from edgewise.errors import MALFORMED


class _Word(msgspec.Struct):
    """As much of a tally as it takes."""

    epoch: int = 0
    epoch_created: int = 0


def is_counted(paths: NodePaths, producer: ProducerKey, numbered: int) -> bool:
    """Whether all `numbered` records of a dead producer stand in some worker's word, or no word waits for them.

    A worker speaks before it takes requests: at a seat whose last word is of another epoch, this producer has numbered
    nothing, or its successor has taken over what it numbered.
    """
    try:
        word = msgspec.json.decode(paths.tally(producer.worker).read_bytes(), type=_Word)
    except (OSError, *MALFORMED):
        return True
    return word.epoch != producer.epoch or word.epoch_created >= numbered
