"""Baskets of a wholesaler: does what ships as complements know the hidden piece of a basket?

Everything is judged in the form in which a node gets it: neighbour lists as bytes, vectors as int8.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from accuracy.claim import Claim
from accuracy.ground import Ground
from edgewise.bundle.catalogue import Catalogue, Item
from edgewise.bundle.neighbours import decode_neighbours
from edgewise.bundle.vectors import UNIT, decode_vectors
from edgewise.ids import ItemId
from hub.content_vectors import content_vectors
from hub.evaluation.bootstrap import percentile_interval, resampled_sums
from hub.site.recipes import ComplementRecipe, FactorRecipe, NeighbourRecipe, VectorRecipe
from hub.train.complements import MOST_PIECES, Baskets, pairs_of
from hub.train.factors import factors_of
from hub.train.history import Touches
from hub.train.neighbour_sets import by_use, encoded

K: Final = 10
TRAIN: Final = 0.8
PROTOCOL: Final = (
    "Online Retail: invoices with 2 to 200 different five-digit articles of positive quantity, by time; the first 80 % "
    "are learned; of the articles of each later one that were sold before, the one at place (invoice number modulo "
    "their count, in the order of their codes) is hidden, and 10 of the articles that are not in the rest are named; "
    "intervals by bootstrap over invoices"
)
Scores = NDArray[np.float64]


class Orders(NamedTuple):
    """Invoices in order of time; one entry for each different article of each of them."""

    number: NDArray[np.int64]
    """Of each invoice."""
    moment_ms: NDArray[np.int64]
    """Of each invoice."""
    order: NDArray[np.int64]
    item: NDArray[np.int64]
    items: list[ItemId]


def measure(ground: Ground) -> list[Claim]:
    """Every claim."""
    orders = read(ground)
    since = int(TRAIN * len(orders.number))
    learned = orders.order < since
    count = np.bincount(orders.item[learned], minlength=len(orders.items)).astype(np.float64)
    given, hidden = hide(orders, since, count)
    touches, baskets = touches_of(orders, learned), baskets_of(orders, learned, since)
    pairs = pairs_of(baskets, ComplementRecipe(per_item=100), Catalogue([]))
    found = {
        "complements": given @ weights(encoded(baskets.items, pairs), orders),
        "popularity": np.broadcast_to(count, given.shape),
        "EASE, lambda 300": given @ weights(by_use(touches, NeighbourRecipe(per_item=200)), orders),
        "ALS vectors in int8, mean of the basket": near(given, factors_of(touches, FactorRecipe(factors=64)), orders),
    }
    hits = {name: hit(scores, given, hidden) for name, scores in found.items()}
    claims = [_claim(f"hit rate@{K} of {name}", made) for name, made in hits.items()]
    above = _claim("complements above popularity", hits["complements"] - hits["popularity"], at_least=0.0)
    vectors = hits["ALS vectors in int8, mean of the basket"] - hits["popularity"]
    return [
        *claims,
        above,
        _claim("ALS vectors above popularity", vectors, at_least=0.0),
        *_of_new(ground, orders, since),
    ]


def _of_new(ground: Ground, orders: Orders, since: int) -> Iterator[Claim]:
    """Articles that nobody had bought before, which only their description can bring."""
    learned = orders.order < since
    is_new = np.bincount(orders.item[learned], minlength=len(orders.items)) == 0
    given, hidden = hide(orders, since, is_new.astype(np.float64))
    vectors = decode_vectors(content_vectors(catalogue(ground, orders), VectorRecipe()))
    data = by_use(touches_of(orders, learned), NeighbourRecipe(per_item=200, content_below=2), vectors)
    scores = given @ weights(data, orders)
    protocol = f"{PROTOCOL}; but hidden is an article that was never sold before"
    among = np.where(is_new, scores, -np.inf)
    yield _claim(
        f"hit rate@{K} among {is_new.sum()} articles never sold before, by content neighbours",
        hit(among, given, hidden),
        at_least=K / float(is_new.sum()),
        source="chance",
        protocol=f"{protocol}, and only such articles are named",
    )
    what = f"hit rate@{K} of articles never sold before, among all, by content neighbours"
    said = _claim(what, hit(scores, given, hidden), protocol=protocol)
    reason = "sums over a basket of dozens drown what one description says; new items need a placement of their own"
    yield msgspec.structs.replace(said, reason=reason)


def _claim(
    what: str, values: Scores, at_least: float | None = None, source: str = "", protocol: str = PROTOCOL
) -> Claim:
    drawn = resampled_sums(values[:, None], 2_000, np.random.default_rng(0))[:, 0] / len(values)
    low, high = percentile_interval(drawn)
    mean = float(values.mean())
    return Claim(what=what, value=mean, low=low, high=high, at_least=at_least, source=source, protocol=protocol)


def read(ground: Ground) -> Orders:
    """The invoices that are judged and learned from."""
    table = pq.read_table(
        ground.shared("online_retail/online_retail.parquet"),
        columns=["InvoiceNo", "StockCode", "Quantity", "InvoiceDate"],
    )
    is_sale = pc.and_(
        pc.and_(pc.greater(table["Quantity"], 0), pc.match_substring_regex(table["StockCode"], "^[0-9]{5}")),
        pc.match_substring_regex(table["InvoiceNo"], "^[0-9]+$"),
    )
    table = table.filter(is_sale)
    moment_ms = table["InvoiceDate"].cast("timestamp[ms]").cast("int64").to_numpy()
    began: dict[str, int] = {}
    articles: dict[str, set[str]] = {}
    columns = zip(table["InvoiceNo"].to_pylist(), table["StockCode"].to_pylist(), moment_ms.tolist(), strict=True)
    for invoice, article, at_ms in columns:
        began.setdefault(invoice, at_ms)
        articles.setdefault(invoice, set()).add(article.upper())
    kept = sorted((at_ms, one) for one, at_ms in began.items() if 2 <= len(articles[one]) <= MOST_PIECES)
    items = sorted({article for _, one in kept for article in articles[one]})
    code = {article: place for place, article in enumerate(items)}
    entries = [(place, code[article]) for place, (_, one) in enumerate(kept) for article in sorted(articles[one])]
    order, item = np.array(entries, np.int64).T
    return Orders(
        np.array([int(one) for _, one in kept], np.int64),
        np.array([at_ms for at_ms, _ in kept], np.int64),
        order,
        item,
        [ItemId(article) for article in items],
    )


def catalogue(ground: Ground, orders: Orders) -> Catalogue:
    """Each article with the description that it has most often."""
    table = pq.read_table(ground.shared("online_retail/online_retail.parquet"), columns=["StockCode", "Description"])
    told: dict[str, Counter[str]] = {}
    for article, text in zip(table["StockCode"].to_pylist(), table["Description"].to_pylist(), strict=True):
        if text:
            told.setdefault(article.upper(), Counter())[text.strip()] += 1
    titles = {article: min(texts, key=lambda text: (-texts[text], text)) for article, texts in told.items()}
    return Catalogue([Item(item, {"title": titles.get(item, "")}, {}) for item in orders.items])


def hide(orders: Orders, since: int, may_be: Scores) -> tuple[Any, NDArray[np.int64]]:
    """The rest of each later invoice (invoices x items, sparse), and the article that is hidden.

    Only articles are hidden of which `may_be` (items,) is above 0, and only invoices that hold one are judged.
    """
    from scipy.sparse import csr_array

    rows: list[int] = []
    columns: list[int] = []
    hidden: list[int] = []
    bounds = np.searchsorted(orders.order, np.arange(since, len(orders.number) + 1))
    for place, (start, end) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        articles = orders.item[start:end].tolist()
        possible = [article for article in articles if may_be[article]]
        if possible:
            out = possible[int(orders.number[since + place]) % len(possible)]
            rest = [article for article in articles if article != out]
            rows += [len(hidden)] * len(rest)
            columns += rest
            hidden.append(out)
    shape = (len(hidden), len(orders.items))
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=shape), np.array(hidden)


def weights(data: bytes, orders: Orders) -> Scores:
    """Neighbour lists as a node has them, items x items."""
    rows = decode_neighbours(data)
    code = {item: place for place, item in enumerate(orders.items)}
    places = np.array([code[item] for item in rows.items])
    dense = np.zeros((len(orders.items), len(orders.items)))
    dense[places.repeat(np.diff(rows.indptr)), places[rows.indices]] = rows.weights
    return dense


def near(given: Any, data: bytes, orders: Orders) -> Scores:
    """Dot products with the mean direction of the basket, in whole numbers, as `nearness` makes them."""
    vectors = decode_vectors(data)
    rows = np.zeros((len(orders.items), vectors.width))
    code = {item: place for place, item in enumerate(orders.items)}
    rows[[code[item] for item in vectors.items]] = vectors.rows
    total = given @ rows
    largest = np.abs(total).max(axis=1, keepdims=True)
    taste: Scores = np.rint(np.divide(UNIT * total, largest, out=np.zeros_like(total), where=largest > 0))
    return np.asarray(taste @ rows.T, np.float64)


def hit(scores: Scores, given: Any, hidden: NDArray[np.int64], k: int = K) -> Scores:
    """1 for each invoice whose hidden article is among the best `k` of those that are not given; ties by lower code."""
    left = np.where(given.toarray() > 0, -np.inf, scores)
    own = left[np.arange(len(hidden)), hidden][:, None]
    before = (left > own).sum(axis=1) + ((left == own) & (np.arange(left.shape[1]) < hidden[:, None])).sum(axis=1)
    found: Scores = (before < k).astype(np.float64)
    return found


def touches_of(orders: Orders, learned: NDArray[np.bool_]) -> Touches:
    """Each invoice as a visitor of its own."""
    order, item = orders.order[learned], orders.item[learned]
    return Touches(
        deed=order,
        visitor=order.astype(np.int32),
        item=item.astype(np.int32),
        moment_ms=orders.moment_ms[order],
        rating=np.full(len(order), np.nan),
        items=tuple(orders.items),
    )


def baskets_of(orders: Orders, learned: NDArray[np.bool_], since: int) -> Baskets:
    """The same as orders; who ordered matters only for what is bought later."""
    return Baskets(
        np.arange(since), orders.moment_ms[:since], orders.order[learned], orders.item[learned], orders.items
    )
