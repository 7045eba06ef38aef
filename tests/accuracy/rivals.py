"""What shops do without a ranker, on invoices: popularity, what the customer buys anyway, item-kNN.

A rival gives every customer a score for every article, from the invoices before the cut alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from accuracy.wholesaler import Invoice

DAY_MS: Final = 86_400_000
POPULAR_DAYS: Final = (7, 14, 30, None)
NEIGHBOURS: Final = (20, 50, 100)
SHRINKAGES: Final = (0.0, 10.0, 50.0)
Scores = NDArray[np.float64]


class Rival(NamedTuple):
    """A method, as one of its kind that is measured together."""

    kind: str
    name: str
    scores: Scores
    """(customers, articles); ties go to the lower article number."""


class Bought(NamedTuple):
    """Who bought what, by invoices."""

    articles: tuple[str, ...]
    customers: tuple[str, ...]
    invoices: Any
    """Customers x articles, CSR: on how many invoices."""

    @property
    def has(self) -> Any:
        """Customers x articles, CSR: 1 where ever."""
        return (self.invoices > 0).astype(np.float64)


def bought_of(invoices: Sequence[Invoice], articles: Sequence[str]) -> Bought:
    """Of invoices before the cut, over all articles."""
    article_of = {article: code for code, article in enumerate(articles)}
    customers = tuple(dict.fromkeys(invoice.customer for invoice in invoices))
    customer_of = {customer: code for code, customer in enumerate(customers)}
    rows = [customer_of[invoice.customer] for invoice in invoices for _ in invoice.lines]
    columns = [article_of[article] for invoice in invoices for article in invoice.lines]
    shape = (len(customers), len(articles))
    return Bought(tuple(articles), customers, csr_array((np.ones(len(rows)), (rows, columns)), shape=shape))


def rivals(invoices: Sequence[Invoice], bought: Bought, asked: Sequence[str]) -> Iterator[Rival]:
    """Every variant of every kind, for the customers `asked`."""
    row_of = {customer: row for row, customer in enumerate(bought.customers)}
    rows = np.array([row_of[customer] for customer in asked])
    last_ms = invoices[-1].time_ms
    for days in POPULAR_DAYS:
        recent = [one for one in invoices if days is None or one.time_ms > last_ms - days * DAY_MS]
        count = bought_of(recent, bought.articles).has.sum(axis=0)
        name = "popularity" if days is None else f"popularity of the last {days} days"
        yield Rival("popularity", name, np.tile(count, (len(rows), 1)))
    own, has = bought.invoices[rows].toarray(), bought.has
    popular = has.sum(axis=0)
    yield Rival("habit", "what the customer bought most often", own + popular / (popular.max() + 1.0))
    together = (has.T @ has).toarray()
    length = np.sqrt(np.diag(together))
    for shrink in SHRINKAGES:
        cosine = together / (np.outer(length, length) + shrink + 1e-12)
        np.fill_diagonal(cosine, 0.0)
        for most in NEIGHBOURS:
            near = csr_array(np.where(cosine >= -np.sort(-cosine, axis=1)[:, most - 1 : most], cosine, 0.0))
            for what, history in (("", has), (", by invoices", bought.invoices)):
                scores = (history[rows] @ near).toarray()
                said = f"item-kNN{what}, k {most}, shrinkage {shrink:g}"
                yield Rival("item-kNN", said, scores)
                # An article is its own nearest neighbour, where it may be bought again.
                yield Rival("item-kNN", f"{said}, with itself", scores + history[rows].toarray())
