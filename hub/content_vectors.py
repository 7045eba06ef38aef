"""Content vectors of a catalogue: what items say of themselves, by words and labels, in a few dimensions.

TF-IDF over words and labels, then latent semantic analysis (Deerwester et al. 1990): items that share rare words, or
words that go together elsewhere, point the same way. Nothing is learned from visitors, so that an item that nobody has
seen yet has its place at once. Only the vectors ship; the words and the decomposition stay here.

Many items come in lists around centroids (k-means), which an edge reads in part. All of it is made with a seed and one
thread, so that the same catalogue gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgewise.attributes import texts_of
from edgewise.bundle.catalogue import Catalogue, Item
from edgewise.bundle.learned import UNNAMED
from edgewise.bundle.policy import ByVectors, Policy
from edgewise.bundle.vectors import Int8s, encode_vectors, quantised
from edgewise.features.table import ContentCosine, FeatureTable
from edgewise.nearness import EXACT_ITEMS
from hub.site.recipes import VectorRecipe

MOST_TERMS: Final = 50_000
"""The most frequent words and labels; the rest says too little of other items."""
FEWEST_OWNERS: Final = 2
"""A word of one item alone makes it like nothing else."""
LISTS_PER_ROOT: Final = 4
"""So many lists times the square root of the items: reading centroids then costs as much as reading a few lists."""
_SAMPLED_PER_LIST: Final = 64
_WORD: Final = re.compile(r"\w\w+")


def vectors_of(policy: Policy, features: FeatureTable, catalogue: Catalogue, recipe: VectorRecipe) -> bytes | None:
    """The resource `vectors.msgpack`; None where no arm and no feature asks for vectors. A pure function."""
    arms = [arm for placement in policy.placements.values() for arm in placement.arms.values()]
    retrieves = any(isinstance(arm.retrieval, ByVectors) and arm.retrieval.source == UNNAMED for arm in arms)
    if not (retrieves or any(isinstance(feature, ContentCosine) for feature in features.features)):
        return None
    return content_vectors(catalogue, recipe)


def content_vectors(catalogue: Catalogue, recipe: VectorRecipe, *, exact_items: int = EXACT_ITEMS) -> bytes:
    """Vectors of all items, in lists where there are more than `exact_items`."""
    # Threads would add up in another order on another number of cores.
    from threadpoolctl import threadpool_limits

    ids = [item.id for item in catalogue.items]
    with threadpool_limits(1):
        documents = [list(terms_of(item, recipe)) for item in catalogue.items]
        rows = quantised(directions(documents, width=recipe.width, seed=recipe.seed))
        if len(ids) <= exact_items:
            return encode_vectors(ids, rows)
        order, centroids, bounds = in_lists(rows, recipe.seed)
    return encode_vectors([ids[row] for row in order.tolist()], rows[order], centroids, bounds)


def terms_of(item: Item, recipe: VectorRecipe) -> Iterator[str]:
    """Words of its texts, and its labels, each with the name of its attribute: `category=tea`."""
    for name in recipe.text:
        for value in (item.content.get(name), item.attributes.get(name)):
            for text in texts_of(value) if isinstance(value, (str, list)) else ():
                yield from _WORD.findall(text.lower())
    for name in recipe.labels:
        for label in texts_of(item.attributes.get(name)):
            yield f"{name}={label}"


def in_lists(rows: Int8s, seed: int) -> tuple[NDArray[np.intp], Int8s, NDArray[np.int32]]:
    """Rows in an order that puts alike ones together: (order, centroids, bounds), as `bundle.vectors` has them.

    A row belongs to the centroid with the largest dot product, the first among equals: what an edge compares as well.
    """
    from sklearn.cluster import MiniBatchKMeans

    lists = min(len(rows), int(LISTS_PER_ROOT * np.sqrt(len(rows))))
    drawn = np.random.default_rng(seed).permutation(len(rows))[: lists * _SAMPLED_PER_LIST]
    means = MiniBatchKMeans(
        n_clusters=lists, random_state=seed, n_init=1, init="random", batch_size=8_192, max_iter=20
    ).fit(rows[np.sort(drawn)].astype(np.float32))
    centroids = quantised(means.cluster_centers_)
    parts = np.array_split(rows, max(1, len(rows) // 8_192))
    against = centroids.astype(np.float32).T
    nearest = np.concatenate([(part.astype(np.float32) @ against).argmax(axis=1) for part in parts])
    order = nearest.argsort(kind="stable")
    bounds = np.concatenate([[0], np.bincount(nearest, minlength=lists).cumsum()]).astype(np.int32)
    return order, centroids, bounds


def directions(documents: Sequence[Sequence[str]], *, width: int, seed: int) -> NDArray[np.float64]:
    """Of documents of terms: (documents, width or fewer components); zeros where one shares no term with another."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    owners: dict[str, int] = {}
    for document in documents:
        for term in set(document):
            owners[term] = owners.get(term, 0) + 1
    shared = sorted(term for term, count in owners.items() if count >= FEWEST_OWNERS)
    kept = sorted(sorted(shared, key=lambda term: -owners[term])[:MOST_TERMS])
    if not kept:
        return np.zeros((len(documents), 1))
    weigher: Any = TfidfVectorizer(
        analyzer=lambda document: document, vocabulary=kept, sublinear_tf=True, lowercase=False
    )
    weights = weigher.fit_transform(documents)
    width = min(width, len(kept), len(documents))
    if width == len(kept):
        return np.asarray(weights.todense(), np.float64)
    return np.asarray(TruncatedSVD(n_components=width, random_state=seed).fit_transform(weights), np.float64)
