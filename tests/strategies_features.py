"""Random catalogues, visitors, pages and feature tables, with everything that may be odd about them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from world import NOW_MS

from edgewise.attributes import CONTEXT_FIELDS
from edgewise.bundle.catalogue import Catalogue, Item
from edgewise.bundle.neighbours import Neighbours, decode_neighbours, encode_neighbours
from edgewise.bundle.vectors import Vectors, decode_vectors, encode_vectors, quantised
from edgewise.consent import Grants, Purpose
from edgewise.events import DIMENSIONS, TOUCHING, Kind
from edgewise.features import table as declared
from edgewise.features.encodings import codes_of
from edgewise.features.table import FeatureTable
from edgewise.ids import ItemId, ModelName, Producer
from edgewise.profile.cart import Cart, CartOperation
from edgewise.profile.habits import COUNTABLE
from edgewise.profile.state import DAY_MS, NO_ORDERS, Impression, LastTouch, Orders, Profile, Trait
from edgewise.profile.tickets import Desk, Mood, Ticket
from edgewise.request import Candidate, Context, Device, Geo, Network, Page

ITEMS = tuple(ItemId(f"i{number}") for number in range(9))
"""Not all of them are in a catalogue or among the neighbours."""
TEXTS = ("drama", "comedy", "noir", "3", "true", "", "2026-11-01", "2026-10-31T08:30:00+02:00")
NAMES = ("category", "brand", "topic", "price", "popularity")
TODAY = NOW_MS // DAY_MS

items = st.sampled_from(ITEMS)
texts = st.sampled_from(TEXTS)
names = st.sampled_from(NAMES)
numbers = st.sampled_from([0.0, 1.0, 3.0, -2.5, 0.1, 1e38, 1e39, -1e300]) | st.floats(-1e6, 1e6)
scalars: st.SearchStrategy[Any] = texts | numbers | st.booleans()
stated = st.dictionaries(
    names, scalars | st.none() | st.integers(-(2**70), 2**70) | st.lists(texts, max_size=4), max_size=5
)
grants = st.builds(Grants, st.booleans(), st.booleans(), st.booleans())
candidates = st.builds(Candidate, items, stated)


@st.composite
def catalogues(draw: st.DrawFn) -> Catalogue:
    """Up to eight items; category, brand and topic are texts, lists of texts, or something wrong."""
    attributes = st.dictionaries(names, texts | numbers | st.booleans() | st.lists(texts, max_size=4), max_size=5)
    known = draw(st.lists(items, unique=True, max_size=8))
    return Catalogue([Item(item, {"title": item}, draw(attributes)) for item in known])


@st.composite
def neighbours(draw: st.DrawFn) -> Neighbours:
    """Sparse rows over some items; weights of both signs."""
    known = draw(st.lists(items, unique=True, min_size=1))
    lengths, indices, weights = [0], [], []
    for _ in known:
        row = draw(st.lists(st.integers(0, len(known) - 1), unique=True, max_size=4))
        indices += row
        weights += [draw(st.floats(-2, 2, width=32)) for _ in row]
        lengths.append(len(indices))
    data = encode_neighbours(
        known, np.array(lengths, np.int32), np.array(indices, np.int32), np.array(weights, np.float32)
    )
    return decode_neighbours(data)


@st.composite
def buckets(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Counts of some days around today, also of the future (another node's clock)."""
    days = draw(st.lists(st.integers(TODAY - 200, TODAY + 1), unique=True, max_size=5))
    return [(day, draw(st.integers(1, 40))) for day in sorted(days)]


stamps = (st.integers(1, NOW_MS), st.just(Producer("n/1/0")), st.integers(0, 9))
operations = st.builds(CartOperation, *stamps, st.integers(0, 3), items, st.integers(-3, 3), st.integers(1, 5_000))
tickets = st.builds(Ticket, *stamps, st.booleans(), texts)
moods = st.builds(Mood, *stamps, st.sampled_from([-1.0, 0.25, 1.0]))


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """A visitor with touches, affinities and counts that need not fit each other."""
    times = st.integers(NOW_MS - 40 * DAY_MS, NOW_MS + 60_000)
    touched = draw(st.dictionaries(items, st.builds(LastTouch, times, st.sampled_from([Kind.VIEW, Kind.ORDER]))))
    impressions = st.builds(Impression, times, st.just(Producer("n/1/0")), st.integers(0, 99), items)
    return Profile(
        first_ms=min((touch.time_ms for touch in touched.values()), default=0),
        last_ms=max((touch.time_ms for touch in touched.values()), default=0),
        items=touched,
        counts=draw(st.dictionaries(st.sampled_from(list(Kind)), buckets(), max_size=3)),
        affinity=draw(
            st.dictionaries(st.sampled_from(DIMENSIONS), st.dictionaries(texts.filter(bool), buckets()), max_size=3)
        ),
        impressions=sorted(draw(st.lists(impressions, max_size=8, unique=True))),
        seen_ms=draw(st.just(0) | times),
        spent_minor=draw(buckets()),
        orders=draw(st.just(NO_ORDERS) | st.builds(Orders, times, times, st.integers(1, 9))),
        slots=[(day, draw(st.integers(1, 2**48 - 1))) for day, _ in draw(buckets())],
        topic_ms=draw(st.dictionaries(texts.filter(bool), buckets(), max_size=3)),
        price_bands=draw(
            st.dictionaries(st.sampled_from(sorted(TOUCHING)), st.lists(st.integers(0, 3), max_size=12), max_size=3)
        ),
        cart=draw(st.none() | st.builds(Cart, st.none(), st.lists(operations, max_size=6).map(sorted))),
        traits=draw(
            st.dictionaries(names, st.builds(Trait, *stamps, texts | numbers | st.booleans() | st.none()), max_size=3)
        ),
        desk=draw(st.none() | st.builds(Desk, st.dictionaries(texts, tickets, max_size=3), st.none() | moods)),
    )


contexts = st.builds(
    Context,
    page=st.builds(Page, path=texts, referrer=texts, url=texts, title=texts),
    device=st.builds(Device, texts),
    locale=texts,
    timezone=texts,
    geo=st.builds(Geo, texts),
    network=st.builds(Network, texts),
    utc_offset_minutes=st.none() | st.sampled_from([-720, -210, 0, 345, 840]),
    attributes=stated,
)


@st.composite
def features(draw: st.DrawFn, name: str) -> declared.Feature:
    """One feature of any type, for any purpose."""
    purpose = draw(st.none() | st.sampled_from(list(Purpose)))
    common: dict[str, Any] = {"name": name, "purpose": purpose}
    half_life_days = draw(st.sampled_from([0.001, 1.0, 7.0, 30.0, 1e6]))
    fields = st.sampled_from([*CONTEXT_FIELDS, "attributes.price", "attributes.category"])
    last = draw(st.sampled_from([0, 1, 2, 5, 1024]))
    dimension = draw(st.sampled_from(DIMENSIONS))
    of_each_type: list[declared.Feature] = [
        declared.NeighbourScore(**common, last=last),
        declared.NeighbourMax(**common, last=last),
        declared.ItemAttribute(**common, attribute=draw(names)),
        declared.ItemIs(**common, attribute=draw(names), value=draw(texts)),
        declared.Affinity(**common, dimension=dimension, half_life_days=half_life_days),
        declared.AffinityMatch(**common, dimension=dimension, half_life_days=half_life_days),
        declared.WindowCount(**common, kind=draw(st.sampled_from(list(Kind))), days=draw(st.integers(1, 400))),
        declared.DaysSinceItem(**common),
        declared.DaysSinceVisit(**common),
        declared.Touched(**common, days=draw(st.sampled_from([0.0, 0.5, 20.0]))),
        declared.Freshness(**common, attribute=draw(names), half_after_days=half_life_days),
        declared.ScoreMatch(**common, model=ModelName("mood"), attribute=draw(names)),
        declared.HistoryLength(**common),
        declared.DaysSinceOrder(**common),
        declared.Spent(**common, days=draw(st.integers(1, 400))),
        declared.Rate(
            **common,
            kind=draw(st.sampled_from(list(Kind))),
            per=draw(st.sampled_from(list(Kind))),
            days=draw(st.integers(1, 400)),
            prior_successes=draw(st.sampled_from([0.0, 1.0])),
            prior_trials=draw(st.sampled_from([0.0, 2.5])),
        ),
        declared.TimeShare(**common, half_life_days=half_life_days),
        declared.PriceDistance(**common, attribute=draw(names), decimals=draw(st.sampled_from([0, 2]))),
        declared.CartSize(**common),
        declared.CartValue(**common),
        declared.OpenTickets(**common),
        declared.TicketMood(**common),
        declared.DistinctCount(**common, of=draw(st.sampled_from(COUNTABLE))),
        declared.Visits(**common, days=draw(st.integers(1, 90))),
        declared.ActiveDays(**common, days=draw(st.integers(1, 90))),
        declared.ValueShare(**common, dimension=dimension, value=draw(texts), half_life_days=half_life_days),
        declared.RecentShare(**common, dimension=dimension, value=draw(texts), last=max(1, last)),
        declared.TopicSeconds(**common, topic=draw(texts), days=draw(st.integers(1, 180))),
        declared.ContextValue(**common, attribute=draw(names)),
        declared.ContextIs(**common, field=draw(fields), value=draw(texts)),
        declared.AffinitySum(**common, dimension=dimension, half_life_days=half_life_days),
        declared.AffinityWindow(**common, dimension=dimension, days=draw(st.integers(1, 180))),
        declared.LastMatch(**common, dimension=dimension, last=draw(st.integers(1, 64))),
        declared.ContentCosine(**common, half_life_days=half_life_days, last=max(1, last)),
        declared.DecayedCount(**common, kind=draw(st.sampled_from(list(Kind))), half_life_days=half_life_days),
        declared.LocalHour(**common),
        declared.LocalWeekday(**common),
        declared.TraitValue(**common, trait=draw(names)),
        declared.TraitIs(**common, trait=draw(names), value=draw(texts)),
        declared.Position(**common, serve_as=draw(st.sampled_from([1.0, 3.0]))),
        *(draw(codes(f"{name}")) for _ in range(2)),
    ]
    return draw(st.sampled_from(of_each_type))


@st.composite
def codes(draw: st.DrawFn, name: str) -> declared.Code | declared.Hash:
    """Of an item, a page or a visitor."""
    roots = [f"item.{draw(names)}", f"profile.traits.{draw(names)}", "context.device.type", "context.attributes.price"]
    path, purpose = draw(st.sampled_from(roots)), draw(st.none() | st.sampled_from(list(Purpose)))
    values = draw(st.lists(texts.filter(bool), unique=True, min_size=1, max_size=4))
    if draw(st.booleans()):
        return declared.Code(name=name, purpose=purpose, of=path, values=tuple(values))
    return declared.Hash(name=name, purpose=purpose, of=path, buckets=draw(st.integers(2, 1_000)))


@st.composite
def tables(draw: st.DrawFn) -> FeatureTable:
    """Up to twelve features, and crosses of some of them."""
    plain = [draw(features(f"f{number}")) for number in range(draw(st.integers(0, 12)))]
    crosses: list[declared.Feature] = []
    for number in range(draw(st.integers(0, 2)) if plain else 0):
        first, second = draw(st.sampled_from(plain)), draw(st.sampled_from(plain))
        hows = ["product", "pair"] if codes_of(first) and codes_of(second) else ["product"]
        how: Any = draw(st.sampled_from(hows))
        purpose = draw(st.none() | st.sampled_from(list(Purpose)))
        crosses.append(declared.Cross(name=f"x{number}", purpose=purpose, of=(first.name, second.name), how=how))
    return FeatureTable(draw(st.permutations([*plain, *crosses])))


@st.composite
def vectors(draw: st.DrawFn) -> Vectors:
    """Content vectors of some items, of three components; some are about nothing."""
    known = draw(st.lists(items, unique=True, min_size=1))
    drawn = [draw(st.lists(st.integers(-3, 3), min_size=3, max_size=3)) for _ in known]
    return decode_vectors(encode_vectors(known, quantised(np.array(drawn, np.float64))))
