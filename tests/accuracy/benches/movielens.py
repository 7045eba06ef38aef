"""MovieLens 100k: EASE against figures measured independently of this code, and what is better than EASE.

The rows A3', A4' and A5' are exact: the splits come from numpy's generator with a stated seed, ties go to the lower id.
Whatever has settings is tuned on a part of the train rows; the test rows are looked at once.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

import numpy as np

from accuracy.claim import Claim
from accuracy.ground import Ground
from accuracy.served import Learned, lists_over_http
from hub.datasets import movielens
from hub.datasets.download import default_cache
from hub.recommend.blend import Blend
from hub.recommend.interactions import Interactions, Rows, encode
from hub.recommend.judging import judge
from hub.recommend.lessons import Lessons
from hub.recommend.methods import METHODS, ItemToItem, blended
from hub.recommend.metrics import Floats, bootstrap
from hub.recommend.neighbours import strongest
from hub.recommend.split import divide, parse_split
from hub.recommend.tuning import tuned


class Row(NamedTuple):
    """A split, and what EASE (lambda 300) and popularity come to on it at 10."""

    name: str
    split: str
    ease: dict[str, float]
    popular: dict[str, float]
    published: tuple[float, str] | None = None
    """The best NDCG cut that others have published on a split like it."""


ROWS: Final = (
    Row(
        "A3'",
        "random:0.2:3",
        {"precision": 0.3669, "recall": 0.2401, "ndcg_cut": 0.4444, "ndcg_uncut": 0.2882},
        {"precision": 0.1908, "recall": 0.1134, "ndcg_cut": 0.2190},
        (0.4161, "Gorse's README at ad7f473: WRMF, 5-fold 80/20"),
    ),
    Row(
        "A4'",
        "per-user:0.25:0",
        {"precision": 0.4191, "recall": 0.2268, "ndcg_cut": 0.4805, "ndcg_uncut": 0.2897},
        {},
        (0.475, "microsoft/recommenders README: BiVAE, 75/25 per user"),
    ),
    Row("A4'", "per-user:0.25:1", {"precision": 0.4179, "recall": 0.2215, "ndcg_cut": 0.4780}, {}),
    Row(
        "A5'",
        "per-user:0.1,0.1:0",
        {"precision": 0.2216, "recall": 0.2752, "ndcg_cut": 0.3269},
        {"precision": 0.1013, "recall": 0.1233, "ndcg_cut": 0.1386},
        (0.2768, "RecBole README: BPR, 80/10/10"),
    ),
    Row("A5'", "per-user:0.1,0.1:1", {"precision": 0.2235, "recall": 0.2866, "ndcg_cut": 0.3367}, {}),
    Row("A5'", "per-user:0.1,0.1:2", {"precision": 0.2244, "recall": 0.2834, "ndcg_cut": 0.3359}, {}),
    Row("A5'", "per-user:0.1,0.1:3", {"precision": 0.2199, "recall": 0.2746, "ndcg_cut": 0.3296}, {}),
)
FOUR_DIGITS: Final = 5e-5
LEAST_ABOVE: Final = 1e-6
PER_ITEM: Final = 400
"""Neighbours of a list that ships; what the cut costs is a claim of its own."""
NDCG: Final = "ndcg_cut@10"


def measure(ground: Ground) -> list[Claim]:
    """All rows; the tuning takes most of the time."""
    ratings = movielens.load(default_cache(os.environ)).ratings
    history = encode(ratings.user, ratings.item, time=ratings.time_s, rating=ratings.rating)
    claims = []
    for row in ROWS:
        found, settings = _on_row(history, row, ground)
        claims += found
        if row is ROWS[0]:
            claims += _at_a_node(history, row, settings, ground)
    return claims


def _on_row(history: Interactions, row: Row, ground: Ground) -> tuple[list[Claim], dict[str, float]]:
    parts = divide(history, parse_split(row.split))
    lessons = Lessons(history, parts.train)
    masked = "train and valid" if len(parts.valid) else "train"
    protocol = (
        f"{row.name}, split {row.split}: all ratings count alike as wanted, what is in {masked} is masked, top 10 by "
        "score, ties to the lower id, mean over users with something in test"
    )

    def values(method: str, settings: dict[str, float]) -> dict[str, Floats]:
        return judge(METHODS[method].fit(lessons, settings), history, parts, ks=(10,)).values

    ease = values("ease", {"lambda": 300.0})
    claims = _equal("EASE, lambda 300", row, row.ease, ease, protocol)
    if row.popular:
        claims += _equal("popularity", row, row.popular, values("popular", dict(METHODS["popular"].defaults)), protocol)
    ground.terminal.note(f"movielens: tuning on the train rows of {row.split}")
    found = tuned(lessons, parse_split(row.split))
    blend = values("blend", found.settings)
    tuning = f"{protocol}. Settings by {len(found.tried)} trials on two random fifths of train alone: " + ", ".join(
        f"{name} {value:g}" for name, value in found.settings.items()
    )
    shown = bootstrap({"blend": blend[NDCG], "more": blend[NDCG] - ease[NDCG]}, seed=0)
    at_least, source = row.published or (None, "")
    detail = {"settings": found.settings, "uncut": float(np.mean(blend["ndcg_uncut@10"]))}
    claims += [
        Claim(
            what=f"NDCG@10 cut of the tuned blend, {row.split}",
            value=shown["blend"].mean,
            low=shown["blend"].low,
            high=shown["blend"].high,
            at_least=at_least,
            source=source,
            protocol=tuning,
            detail=detail,
        ),
        Claim(
            what=f"NDCG@10 cut: the blend above EASE, {row.split}",
            value=shown["more"].mean,
            low=shown["more"].low,
            high=shown["more"].high,
            at_least=LEAST_ABOVE,
            source="better than EASE for the same users",
            protocol=tuning,
        ),
    ]
    return claims, found.settings


def _at_a_node(history: Interactions, row: Row, settings: dict[str, float], ground: Ground) -> list[Claim]:
    """The blend as neighbour lists: what the cut costs, and whether a node gives the lists that were judged."""
    parts = divide(history, parse_split(row.split))
    lessons = Lessons(history, parts.train)
    whole = blended(Blend(lessons), lessons, settings)
    kept, prior = strongest(whole.weights, per_item=PER_ITEM), Blend(lessons).prior(settings)
    shipped = ItemToItem(kept.matrix(), lessons.popularity, prior)
    judged = judge(shipped, history, parts, ks=(10,))
    value = bootstrap({NDCG: judged.values[NDCG]}, seed=0)[NDCG]
    has_history = dict(zip(judged.users.tolist(), judged.history_length.tolist(), strict=True))
    asking = [user for user, items in has_history.items() if items]
    ground.terminal.note(f"movielens: {len(asking)} visitors tell a node their history over HTTP")
    told = {history.users[user]: _in_order(history, parts.train, user) for user in asking}
    learned = Learned(history.items, kept, lessons.popularity.tolist(), prior.tolist())
    answered = lists_over_http(ground.folder, learned, told, 10)
    offline = dict(zip(judged.users.tolist(), judged.lists.tolist(), strict=True))
    same = [answered[history.users[user]] == [history.items[code] for code in offline[user]] for user in asking]
    protocol = (
        f"{row.name}, split {row.split}: the tuned blend cut to the {PER_ITEM} strongest neighbours of each item, "
        f"float32; a real node is told the train rows of all {len(asking)} visitors with any as Product Viewed by "
        "/v1/batch and asked by /v1/decide: retrieval by neighbours, an ONNX model of neighbour score, prior "
        "and length of history, what was seen left out"
    )
    return [
        Claim(
            what=f"NDCG@10 cut of the blend in {PER_ITEM} neighbours an item, {row.split}",
            value=value.mean,
            low=value.low,
            high=value.high,
            at_least=row.ease["ndcg_cut"],
            source="EASE uncut",
            protocol=protocol,
        ),
        Claim(
            what="share of visitors whose ten over HTTP are those offline, in the same order",
            value=float(np.mean(same)),
            equals=1.0,
            source="nothing may be lost on the way",
            protocol=protocol,
            detail={"visitors": len(asking)},
        ),
    ]


def _in_order(history: Interactions, rows: Rows, user: int) -> list[str]:
    """A user's items of these rows, the earliest first."""
    assert history.time is not None
    own = rows[history.user[rows] == user]
    return [history.items[item] for item in history.item[own[np.argsort(history.time[own], kind="stable")]].tolist()]


def _equal(method: str, row: Row, figures: dict[str, float], values: dict[str, Floats], protocol: str) -> list[Claim]:
    return [
        Claim(
            what=f"{name}@10 of {method}, {row.split}",
            value=float(np.mean(values[f"{name}@10"])),
            equals=figure,
            within=FOUR_DIGITS,
            source="measured independently",
            protocol=protocol,
        )
        for name, figure in figures.items()
    ]
