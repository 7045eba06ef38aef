"""What a test's profile cache takes in, and what befalls its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hub_records
from hub_records import SUBJECT
from spool_world import PRODUCER

from edgewise.consent import Grants
from edgewise.ids import ItemId, Producer, SubjectId
from edgewise.records import EventRecord, PreferenceRecord, Touch


def view(
    seq: int, *, subject: SubjectId = SUBJECT, producer: Producer = PRODUCER, item: str = "i1", granted: bool = True
) -> EventRecord:
    """A look at one item, which counts for the profile if it is `granted`."""
    return hub_records.event(
        seq,
        producer=producer,
        subject=subject,
        name="Product Viewed",
        grants=Grants(personalisation=granted),
        touches=(Touch(ItemId(item)),),
    )


def statement(
    seq: int, *, subject: SubjectId = SUBJECT, producer: Producer = PRODUCER, **said: Any
) -> PreferenceRecord:
    """A visitor's word; its time is its number."""
    return hub_records.preference(seq, producer=producer, subject=subject, time_ms=seq, received_ms=seq, **said)


def boot_again(folder: Path, **changes: object) -> None:
    """As if the machine had been started anew since the stamp was written, in which other fields may change, too."""
    stamp = folder / "stamp.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_bytes()), "boot": "another", **changes}))


def overwrite_pages(place: Path) -> None:
    """All but the two meta pages become something else, under everybody who has them mapped."""
    with (place / "data.mdb").open("r+b") as file:
        size_bytes = file.seek(0, 2)
        file.seek(8_192)
        file.write(b"\xa5" * (size_bytes - 8_192))
