"""MovieLens 100k when little is known: visitors with a film or five, and films that nobody has rated.

Nothing is published for these splits; each claim is against what needs no history, for the same users.
"""

from __future__ import annotations

import os
from typing import Final

import numpy as np

from accuracy.claim import Claim
from accuracy.ground import Ground
from edgewise.ids import ItemId
from hub.datasets import movielens
from hub.datasets.download import default_cache
from hub.recommend import content
from hub.recommend.blend import DEFAULTS
from hub.recommend.interactions import Interactions, Rows, encode, matrix, moments
from hub.recommend.lessons import Lessons
from hub.recommend.methods import METHODS
from hub.recommend.metrics import Floats, best, bootstrap, per_user

FIFTH: Final = 5
KNOWN: Final = (1, 5)
NDCG: Final = "ndcg_cut@10"
ABOVE: Final = 1e-6
NEW: Final = 10
"""Each tenth film is one that nobody has rated."""


def measure(ground: Ground) -> list[Claim]:
    """Cold visitors by the blend, new films by content."""
    data = movielens.load(default_cache(os.environ))
    ratings = data.ratings
    history = encode(ratings.user, ratings.item, time=ratings.time_s, rating=ratings.rating)
    films = [data.items[ItemId(item)] for item in history.items]
    about = content.learn(
        {
            "title": [film.title for film in films],
            "year": [film.year for film in films],
            "genres": [" ".join(film.genres) for film in films],
        }
    )
    ground.terminal.note("movielens_cold: visitors with a film or five, then films without a rating")
    return [*_cold_visitors(history), *_new_films(history, about)]


def _cold_visitors(history: Interactions) -> list[Claim]:
    is_cold = history.user % FIFTH == 0
    lessons = Lessons(history, np.flatnonzero(~is_cold))
    blend = METHODS["blend"].fit(lessons, DEFAULTS)
    popular = METHODS["popular"].fit(lessons, METHODS["popular"].defaults)
    claims = []
    for known in KNOWN:
        shown, hidden = _first(history, np.flatnonzero(is_cold), known)
        wanted = matrix(history, hidden)
        judged = np.flatnonzero(np.diff(wanted.indptr))
        histories = matrix(history, shown)[judged]

        def ndcg(scores: Floats, histories: object = histories, wanted: object = wanted[judged]) -> Floats:
            return per_user(best(scores, histories, 10), wanted, (10,))[NDCG]

        values = {"blend": ndcg(blend(histories)), "popularity": ndcg(popular(histories))}
        claims.append(
            _above(
                f"NDCG@10 cut: the blend above popularity for visitors of {known} film{'s' if known > 1 else ''}",
                values["blend"],
                values["popularity"],
                f"each fifth visitor (by id) is not learned from and has shown his first {known} films; the rest is "
                "wanted; the blend with its defaults",
            )
        )
    return claims


def _new_films(history: Interactions, about: Floats) -> list[Claim]:
    is_new = history.item % NEW == 0
    known, wanted = np.flatnonzero(~is_new), matrix(history, np.flatnonzero(is_new))
    judged = np.flatnonzero(np.diff(wanted.indptr))
    scores = content.scores(about, moments(history, known)[judged], half_life=0.0)
    # Only new films compete: whoever lists them beside known ones asks how good the known ones are.
    old = np.arange(len(history.items)) % NEW != 0
    scores[:, old] = -np.inf
    lists = best(scores, matrix(history, known)[judged], 10)
    chance = best(_drawn(scores), matrix(history, known)[judged], 10)
    return [
        _above(
            "NDCG@10 cut: content above chance among films that nobody has rated",
            per_user(lists, wanted[judged], (10,))[NDCG],
            per_user(chance, wanted[judged], (10,))[NDCG],
            "each tenth film (by id) is left out of all histories and competes with the other left-out films alone; "
            "title, year and genres; chance: an order drawn for each visitor with seed 0",
        )
    ]


def _drawn(scores: Floats) -> Floats:
    return np.where(np.isfinite(scores), np.random.default_rng(0).random(scores.shape), -np.inf)


def _first(history: Interactions, rows: Rows, known: int) -> tuple[Rows, Rows]:
    """Of each user the first `known` of these rows by time, and the others."""
    assert history.time is not None
    ordered = rows[np.lexsort((rows, history.time[rows], history.user[rows]))]
    user = history.user[ordered]
    place = np.arange(len(ordered)) - np.searchsorted(user, user)
    return ordered[place < known], ordered[place >= known]


def _above(what: str, values: Floats, others: Floats, protocol: str) -> Claim:
    found = bootstrap({"more": values - others, "value": values, "other": others}, seed=0)
    return Claim(
        what=what,
        value=found["more"].mean,
        low=found["more"].low,
        high=found["more"].high,
        at_least=ABOVE,
        source="what needs no history",
        protocol=protocol,
        detail={"value": found["value"].mean, "other": found["other"].mean},
    )
