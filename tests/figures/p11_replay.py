"""P11: how fast stored events are folded into profiles, and that a profile costs what it keeps and not what was.

A replay reads what a ledger holds of one visitor after the other, as rebuilding a profile and making training rows do:
encoded records are decoded and applied. One core, no database.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from edgewise.clock import SystemClock
from edgewise.ids import MessageId, SubjectId
from edgewise.profile.reduce import apply, apply_all
from edgewise.profile.state import DAY_MS, Profile, decode_profile, encode_profile
from edgewise.records import EventRecord, Touch, decode_record, encode_record
from figures import stock
from figures.cores import on_core
from figures.figure import Bound, Curve, Measured, Point, Row, judge
from figures.floors import seconds_each
from figures.ground import Ground

FOLDED: Final = Bound(100_000, 250_000, "events/s", at_least=True)
GROWTH: Final = Bound(2.0, 1.25, "x")
VISITORS: Final = 200
EVENTS: Final = 100
"""Of one visitor."""
LENGTHS: Final = (100, 1_000, 10_000, 100_000)
QUICK_LENGTHS: Final = (100, 1_000, 10_000)
A_DAY: Final = 100
"""Events of one visitor a day: the longest history goes far beyond every horizon."""
ITEMS: Final = 3_000
BLOCK: Final = 1_000
"""Records decoded at once: a replay holds no more of a history."""
US: Final = 1e6
NAMES: Final = ("Product Viewed", "Home", "Product Clicked", "Product Added", "Cart Viewed", "Order Completed")
SHARES: Final = (0.55, 0.2, 0.15, 0.06, 0.02, 0.02)
BODY: Final = msgspec.json.encode(
    {
        "properties": {"product_id": "film-1234", "price": 9.99, "category": ["genre-3"], "position": 4},
        "context": {
            "page": {"path": "/films/1234", "url": "https://shop.example/films/1234", "title": "Film 1234"},
            "locale": "en-GB",
            "library": {"name": "analytics.js", "version": "next-1.70.0"},
        },
    }
)


def measure(ground: Ground) -> Measured:
    """The rate over many visitors, and the cost of an event by the length of one history."""
    with on_core(ground.stage.cores.server):
        rate = _rate(ground)
        grown, curves = _growth(ground)
    return Measured([rate, grown], curves)


def history(events: int, *, seed: int) -> list[bytes]:
    """Encoded records of one visitor in the order of their time, ending now: A_DAY of them a day."""
    draw = np.random.default_rng([events, seed])
    subject = SubjectId(f"{seed:032x}")
    times_ms = np.sort(draw.integers(0, max(1, events // A_DAY) * DAY_MS, events))
    began_ms = SystemClock().now_ms() - int(times_ms[-1])
    # a few films are looked at again and again
    films = (ITEMS * draw.random(events) ** 3).astype(int).tolist()
    names = draw.choice(len(NAMES), events, p=SHARES).tolist()
    return [
        encode_record(_event(seq, subject, NAMES[names[seq]], began_ms + time_ms, films[seq]))
        for seq, time_ms in enumerate(times_ms.tolist())
    ]


def _event(seq: int, subject: SubjectId, name: str, time_ms: int, number: int) -> EventRecord:
    is_page = name == "Home"
    touch = Touch(
        stock.film(number),
        value_minor=199 + 50 * (number % 60),
        dimensions={
            "category": (stock.GENRES[number % 18], stock.GENRES[number % 7]),
            "brand": (f"studio-{number % 40}",),
        },
    )
    return EventRecord(
        producer=stock.NODE,
        seq=seq,
        subject=subject,
        message_id=MessageId(f"ajs-next-1700000000000-{seq:08}"),
        type="page" if is_page else "track",
        name=name,
        time_ms=time_ms,
        received_ms=time_ms + 40,
        grants=stock.GRANTED,
        touches=() if is_page else (touch,),
        engaged_ms=8_000 if is_page else 0,
        topics=("films",) if is_page else (),
        identifiers={"anonymousId": subject},
        body=BODY,
    )


def replay(payloads: Sequence[bytes]) -> Profile:
    """One visitor's profile from his encoded records."""
    profile = Profile()
    for start in range(0, len(payloads), BLOCK):
        apply_all(profile, [_read(payload) for payload in payloads[start : start + BLOCK]])
    return profile


def _read(payload: bytes) -> EventRecord:
    record = decode_record(payload)
    assert isinstance(record, EventRecord)
    return record


def _rate(ground: Ground) -> Row:
    visitors = [history(EVENTS, seed=seed) for seed in range(VISITORS)]
    effort = ground.stage.effort
    runs = [
        EVENTS / seconds_each(lambda turn: replay(visitors[turn % VISITORS]), effort.window_s / 2)
        for _ in range(effort.runs)
    ]
    payloads = [payload for each in visitors for payload in each]
    decode_us = US * seconds_each(lambda turn: decode_record(payloads[turn % len(payloads)]), effort.window_s / 4)
    sizes = [len(encode_profile(replay(each))) for each in visitors]
    detail = {
        "visitors": VISITORS,
        "events_each": EVENTS,
        "decode_us": decode_us,
        "profile_bytes": float(np.mean(sizes)),
    }
    short = f"of {US / np.median(runs):.1f} us an event, {decode_us:.1f} us go into decoding its record"
    return judge("P11", "profile replay: events decoded and folded, one core", FOLDED, runs, short=short, detail=detail)


def _growth(ground: Ground) -> tuple[Row, list[Curve]]:
    lengths = QUICK_LENGTHS if ground.stage.effort.is_quick else LENGTHS
    folded_us: list[Point] = []
    added_us: list[Point] = []
    kib: list[Point] = []
    for length in lengths:
        payloads = history(length, seed=0)
        began_s = time.thread_time()
        profile = replay(payloads)
        folded_us.append(Point(length, US * (time.thread_time() - began_s) / length))
        data = encode_profile(profile)
        kib.append(Point(length, len(data) / 1_024))
        another = msgspec.structs.replace(_read(payloads[-1]), seq=length)
        added_us.append(Point(length, US * _adding_s(data, another)))
    grown = folded_us[-1].y / folded_us[1].y
    what = f"an event of a history of {lengths[-1]:,} against one of {lengths[1]:,}"
    kept = f"profiles of {kib[1].y:.0f} and {kib[-1].y:.0f} KiB"
    short = f"{folded_us[1].y:.1f} us and {folded_us[-1].y:.1f} us; {kept}"
    detail = {"us": [point.y for point in folded_us], "kib": [point.y for point in kib]}
    row = judge("P11", what, GROWTH, [grown], short=short, detail=detail)
    costs = {"replayed": folded_us, "one more on a node: decode, apply, encode": added_us}
    return row, [
        Curve("Cost of an event by length of the visitor's history", "events", "us of one core", costs),
        Curve("Size of a profile by length of the visitor's history", "events", "KiB", {"profile": kib}),
    ]


def _adding_s(data: bytes, event: EventRecord) -> float:
    """What a node does with one more event of a visitor whom it has cached."""

    def add(_: int) -> bytes:
        profile = decode_profile(data)
        apply(profile, event)
        return encode_profile(profile)

    return seconds_each(add, 0.2)
