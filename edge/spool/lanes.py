"""Who has to wait when a spool fills up: each record has a lane, and lanes stop one after the other, lowest first.

    preference   consent, dial, mutes        never for want of room: it has a reserve beyond the bound, and one on disk
    conversion   orders, who is whom         up to the bound
    event        clicks, views, other calls  up to 95 % of it
    exposure     decisions                   up to 90 %
    impression   what was seen, pages        up to 75 %
    debug        whole feature matrices      up to 50 %; no records of their own, they are left out of decisions

The bound is `spool_most_bytes`, or what there is and what the disk still takes, if that is less. Clicks stand above
exposures: an exposure without its click would be learned from as one that nobody wanted, a click without its exposure
is only not learned from. Calls are refused rather than dropped, and sent again by whoever made them; a decision cannot
be refused, so it is given a number, dropped and declared (`proto/decisions/0010-lanes.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from edgewise.events import CONVERSIONS, Kind, kind_of
from edgewise.records import DecisionRecord, EventRecord, PreferenceRecord


class Lane(StrEnum):
    """What kind of record it is; the last to be dropped comes first."""

    PREFERENCE = "preference"
    CONVERSION = "conversion"
    EVENT = "event"
    EXPOSURE = "exposure"
    IMPRESSION = "impression"
    DEBUG = "debug"


SHARE: Final[Mapping[Lane, float]] = {
    Lane.PREFERENCE: 1.0,
    Lane.CONVERSION: 1.0,
    Lane.EVENT: 0.95,
    Lane.EXPOSURE: 0.90,
    Lane.IMPRESSION: 0.75,
    Lane.DEBUG: 0.50,
}
"""How much of the bound may be taken when a record of this lane is written."""


def label_of(counts: Mapping[str, int]) -> str:
    """`GapRecord.lane` of what was dropped, lane by lane: `exposure`, or of several `event:3+exposure:40`."""
    if len(counts) == 1:
        return next(iter(counts))
    return "+".join(f"{lane}:{count}" for lane, count in sorted(counts.items()))


def counts_in(label: str, count: int) -> dict[str, int]:
    """What `label_of` was made of; `count` is the gap's. A label of somebody else's making is one lane."""
    parts = [part.rpartition(":") for part in label.split("+")]
    if all(lane and number.isdecimal() for lane, _, number in parts):
        counts = {lane: int(number) for lane, _, number in parts}
        if sum(counts.values()) == count:
            return counts
    return {label: count}


def lane_of(record: EventRecord | DecisionRecord | PreferenceRecord) -> Lane:
    """The lane of one record."""
    match record:
        case PreferenceRecord():
            return Lane.PREFERENCE
        case DecisionRecord():
            return Lane.EXPOSURE
        case EventRecord():
            return lane_of_call(record.type, record.name)


def lane_of_call(event_type: str, name: str) -> Lane:
    """The lane of one call: Segment's `type` and, for `track`, its event name."""
    if event_type in {"identify", "alias", "group"} or (event_type == "track" and name in CONVERSIONS):
        return Lane.CONVERSION
    return Lane.IMPRESSION if kind_of(event_type, name) in {Kind.IMPRESSION, Kind.PAGE} else Lane.EVENT
