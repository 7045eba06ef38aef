"""MSWeb (UCI "Anonymous Microsoft Web Data", Breese, Heckerman, Kadie 1998, UAI): areas of a content site.

One area of each fifth visitor is hidden; nothing is drawn. Who is judged was not there at fitting: a visitor is known
by the areas that he has shown, as at a node.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from accuracy.claim import Claim
from accuracy.ground import Ground
from hub.recommend.interactions import Codes, Interactions, Rows, encode, matrix
from hub.recommend.lessons import Lessons
from hub.recommend.methods import METHODS
from hub.recommend.metrics import Interval, best, bootstrap
from hub.recommend.split import parse_split
from hub.recommend.tuning import tuned

PROTOCOL: Final = (
    "test visitors: visitor % 5 == 0 with at least 2 areas (4,551), each with the area at index visitor % n of its n "
    "in file order hidden; learned on all visitors with visitor % 5 != 0 (26,168); ranked: the areas not shown, ties "
    "by lower number"
)
FIFTH: Final = 5
FOUR_DIGITS: Final = 5e-5
EASE: Final = {"hit_rate@10": 0.7965, "mrr@10": 0.5157}
POPULAR: Final = {"hit_rate@10": 0.6715, "mrr@10": 0.3466}


class Hidden(NamedTuple):
    """Rows of the history: what is learned from, what test visitors have shown, and the one that each has hidden."""

    train: Rows
    shown: Rows
    hidden: Rows


def measure(ground: Ground) -> list[Claim]:
    """Popularity and EASE as stated, and the blend with settings tuned on the visitors who are learned from."""
    visits = ground.shared("msweb/visits.csv.gz")
    history = encode(
        *zip(*_rows(visits, "visitor", "item"), strict=True),
        catalogue=[item for (item,) in _rows(ground.shared("msweb/items.csv.gz"), "item")],
    )
    parts = hide(history)
    lessons = Lessons(history, parts.train)

    def found(method: str, settings: dict[str, float]) -> dict[str, Interval]:
        return bootstrap(_values(history, parts, method, settings, lessons), seed=0)

    ground.terminal.note("msweb: tuning on the visitors who are learned from")
    search = tuned(lessons, parse_split("random:0.2"))
    settings = ", ".join(f"{name} {value:g}" for name, value in search.settings.items())
    tuning = (
        f"{PROTOCOL}. Settings by {len(search.tried)} trials on two random fifths of what is learned from: {settings}"
    )
    return [
        *_claims("popularity", found("popular", dict(METHODS["popular"].defaults)), POPULAR, PROTOCOL, is_exact=True),
        *_claims("EASE, lambda 50", found("ease", {"lambda": 50.0}), EASE, PROTOCOL, is_exact=True),
        *_claims("the tuned blend", found("blend", search.settings), EASE, tuning, is_exact=False),
    ]


def hide(history: Interactions) -> Hidden:
    """The split of the protocol."""
    visitor = np.array([int(name) for name in history.users])[history.user]
    order = np.argsort(visitor, kind="stable")
    shown: list[int] = []
    hidden: list[int] = []
    for rows in np.split(order, np.flatnonzero(np.diff(visitor[order])) + 1):
        number = int(visitor[rows[0]])
        if number % FIFTH == 0 and len(rows) > 1:
            at = number % len(rows)
            hidden.append(int(rows[at]))
            shown += np.delete(rows, at).tolist()
    return Hidden(np.flatnonzero(visitor % FIFTH), np.array(shown, np.intp), np.array(hidden, np.intp))


def _values(
    history: Interactions, parts: Hidden, method: str, settings: dict[str, float], lessons: Lessons
) -> dict[str, np.ndarray]:
    visitors: Codes = history.user[parts.hidden]
    shown = matrix(history, parts.shown)[visitors]
    lists = best(METHODS[method].fit(lessons, settings)(shown), shown, 10)
    is_hit = lists == history.item[parts.hidden][:, None]
    hit = is_hit.any(axis=1)
    return {
        "hit_rate@10": hit.astype(np.float64),
        "mrr@10": np.where(hit, 1.0 / (is_hit.argmax(axis=1) + 1), 0.0),
    }


def _claims(
    method: str, found: dict[str, Interval], figures: dict[str, float], protocol: str, *, is_exact: bool
) -> list[Claim]:
    return [
        Claim(
            what=f"{name} of {method}, MSWeb",
            value=found[name].mean,
            low=found[name].low,
            high=found[name].high,
            equals=figure if is_exact else None,
            within=FOUR_DIGITS if is_exact else 0.0,
            at_least=None if is_exact else figure,
            source="measured independently" if is_exact else "EASE's figure",
            protocol=protocol,
        )
        for name, figure in figures.items()
    ]


def _rows(path: Path, *columns: str) -> Iterator[tuple[str, ...]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            yield tuple(row[column] for column in columns)
