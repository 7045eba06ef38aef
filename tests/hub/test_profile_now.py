"""How things stand with a person: what people read of a profile's newer aggregates."""

from edgewise.consent import Grants
from edgewise.ids import ItemId, MessageId, Producer, SubjectId
from edgewise.profile.reduce import fold
from edgewise.profile.state import DAY_MS, Profile
from edgewise.records import EventRecord, Touch
from hub.profile_now import Now, in_rows, now_of

NOW_MS = 1_700_000_000_000 // DAY_MS * DAY_MS + 12 * 3_600_000


def done(seq: int, name: str, *touches: Touch, currency: str = "", ticket: str = "") -> EventRecord:
    return EventRecord(
        producer=Producer("import/shop"),
        seq=seq,
        subject=SubjectId("5" * 32),
        message_id=MessageId(f"m{seq}"),
        type="track",
        name=name,
        time_ms=NOW_MS + seq,
        received_ms=NOW_MS + seq,
        grants=Grants(personalisation=True),
        touches=touches,
        currency=currency,
        ticket=ticket,
        topics=("delivery",) if ticket else (),
        mood=-1.0 if ticket else None,
    )


def test_all_that_stands_is_told_and_nothing_that_was_never_told() -> None:
    tea, mug = Touch(ItemId("tea"), quantity=2, value_minor=450), Touch(ItemId("mug"), value_minor=3_000)
    events = [
        done(0, "Order Completed", mug, currency="JPY"),
        done(1, "Product Added", tea),
        done(2, "Ticket Opened", ticket="77"),
        done(3, "Email Delivered"),
    ]
    now = now_of(fold(Profile(), events), NOW_MS + 10)
    assert dict(in_rows(now)) == {
        "spent in JPY": "3,000",
        "orders": "1",
        "cart": "2 x tea, worth 9.00",
        "open tickets": "77 (delivery)",
        "mood": "-1",
        "visits": "1 on 1 of 90 days",
        "usual price": "about 3.62",
        "opens e-mails": "17%",
        "different items": "2",
    }
    assert now_of(Profile(), NOW_MS) == Now()
    assert in_rows(Now()) == []
