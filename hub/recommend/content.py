"""What items say of themselves, as directions: the only method that knows an item before anybody used it.

TF-IDF over words and values, then latent semantic analysis, with the code that makes the content vectors of a bundle
(`hub.content_vectors`). A visitor's taste is the mean of the directions of what he used, older uses weighing less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from edgewise.errors import InputError
from hub.content_vectors import directions
from hub.recommend.interactions import Matrix

WIDTH: Final = 64
_WORD: Final = re.compile(r"\w\w+")


def learn(columns: Mapping[str, Sequence[object]], *, seed: int = 0) -> npt.NDArray[np.float64]:
    """Directions of items from the columns of a catalogue: items x components, unit length or all 0.

    Every value counts whole, as `column=value`, and texts count by their words too.
    """
    from threadpoolctl import threadpool_limits

    documents = [
        [term for name, value in zip(columns, row, strict=True) for term in _terms(name, value)]
        for row in zip(*columns.values(), strict=True)
    ]
    with threadpool_limits(1):  # more would add up in another order
        made = directions(documents, width=WIDTH, seed=seed)
    length = np.linalg.norm(made, axis=1, keepdims=True)
    unit: npt.NDArray[np.float64] = np.divide(made, length, out=np.zeros_like(made), where=length > 0)
    return unit


def scores(about: npt.NDArray[np.float64], moments: Matrix, *, half_life: float) -> npt.NDArray[np.float64]:
    """Users x items: cosine of the item and the taste; 0 for who used nothing that says anything.

    A use counts half as much per `half_life` (in the unit of `moments`) before the user's latest one; 0: all alike.

    Raises InputError for a half-life below 0.
    """
    if not (np.isfinite(half_life) and half_life >= 0):
        raise InputError(f"half_life is {half_life:g}, expected 0 or more, in the unit of the time column")
    weight = moments.copy()
    if half_life > 0:
        latest = np.zeros(moments.shape[0])
        rows = np.repeat(np.arange(moments.shape[0]), np.diff(moments.indptr))
        np.maximum.at(latest, rows, moments.data)
        weight.data = 2.0 ** ((moments.data - latest[rows]) / half_life)
    else:
        weight.data = np.ones(len(weight.data))
    taste = np.asarray(weight @ about)
    length = np.linalg.norm(taste, axis=1, keepdims=True)
    taste = np.divide(taste, length, out=np.zeros_like(taste), where=length > 0)
    return np.asarray(taste @ about.T)


def _terms(name: str, value: object) -> Iterator[str]:
    if value is None or value == "":
        return
    yield f"{name}={value}"
    if isinstance(value, str):
        yield from _WORD.findall(value.lower())
