"""Random visitors' histories: several producers, each with its own sequence."""

from hypothesis import strategies as st

from edgewise.consent import Grants
from edgewise.ids import DecisionId, ItemId, MessageId, Producer, SubjectId, ulid
from edgewise.profile.state import DAY_MS
from edgewise.records import EventRecord, Touch

SUBJECT = SubjectId("5" * 32)
START_MS = 1_700_000_000_000
TIMES_MS = [
    *(START_MS + later_ms for later_ms in (0, 1, 1_000, 3 * DAY_MS, 190 * DAY_MS, 450 * DAY_MS)),
    # A clock that was never set.
    *(0, 1),
]

NAMES = [
    "Product Viewed",
    "Product Clicked",
    "Product Added",
    "Order Completed",
    "Product Reviewed",
    "Promotion Viewed",
    "Content Viewed",
    "Something Else",
    "Product Added to Wishlist",
    "Product Removed",
    "Cart Viewed",
    "Offline Purchase",
    "Order Refunded",
    "Email Delivered",
    "Email Sent",
    "Email Opened",
    "Ticket Opened",
    "Ticket Closed",
]
TOPICS = ["tea", "milk", "sugar"]
DECISIONS = [
    None,
    *(DecisionId(ulid(START_MS + later_ms, b"0" * 10)) for later_ms in (0, 1, 600 * DAY_MS)),
    DecisionId("of-somebody-else"),
    DecisionId(ulid(START_MS, b"0" * 10).lower()),
]

touches = st.builds(
    Touch,
    item=st.sampled_from([ItemId(f"i{number}") for number in range(12)]),
    quantity=st.integers(1, 3),
    value_minor=st.sampled_from([0, 199, 2_500, -199, 2**62, -(2**62)]),
    listed_minor=st.sampled_from([0, 0, 300]),
    rating=st.sampled_from([None, 1.0, 3.0, 4.0, 5.0]),
    dimensions=st.fixed_dictionaries(
        {},
        optional={
            "category": st.sampled_from([("a",), ("a", "b"), ("c",)]),
            "brand": st.sampled_from([("x",), ("y",)]),
            "topic": st.sampled_from([("tea",), ("tea", "milk")]),
        },
    ),
)


@st.composite
def histories(draw: st.DrawFn, *, producers: int = 3, most: int = 12) -> dict[Producer, list[EventRecord]]:
    """Producer -> its records in sequence order. Times jump across horizons and collide on purpose."""
    by_producer: dict[Producer, list[EventRecord]] = {}
    for number in range(producers):
        name = Producer(f"n{number}/1/0")
        by_producer[name] = [
            EventRecord(
                producer=name,
                seq=seq,
                subject=SUBJECT,
                message_id=MessageId(f"{name}-{seq}"),
                type=draw(st.sampled_from(["track", "track", "track", "page", "identify"])),
                name=draw(st.sampled_from(NAMES)),
                time_ms=draw(st.sampled_from(TIMES_MS)),
                received_ms=START_MS + 500 * DAY_MS,
                grants=Grants(personalisation=draw(st.integers(0, 9)) > 0),
                touches=tuple(draw(st.lists(touches, max_size=2))),
                decision_id=draw(st.sampled_from(DECISIONS)),
                currency=draw(st.sampled_from(["", "", "JPY", "EUR"])),
                engaged_ms=draw(st.sampled_from([0, 0, 1_500, 20_000])),
                topics=tuple(draw(st.lists(st.sampled_from(TOPICS), max_size=2))),
                ticket=draw(st.sampled_from(["", "t1", "t2", "t3"])),
                mood=draw(st.sampled_from([None, -1.0, 0.5])),
                traits=draw(st.dictionaries(st.sampled_from(["plan", "age"]), st.integers(0, 3), max_size=2)),
                vouched=draw(st.booleans()),
                identifiers=draw(
                    st.dictionaries(
                        st.just("userId"), st.sampled_from([SubjectId("a" * 32), SubjectId("b" * 32)]), max_size=1
                    )
                ),
            )
            for seq in range(draw(st.integers(0, most)))
        ]
    return by_producer


@st.composite
def interleavings(draw: st.DrawFn, by_producer: dict[Producer, list[EventRecord]]) -> list[EventRecord]:
    """One arrival order: producers mixed at will, each in its own sequence order."""
    queues = {name: list(records) for name, records in by_producer.items() if records}
    order = []
    while queues:
        name = draw(st.sampled_from(sorted(queues)))
        order.append(queues[name].pop(0))
        if not queues[name]:
            del queues[name]
    return order
