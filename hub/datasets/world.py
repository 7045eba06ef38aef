"""A simulated film shop for when nothing can be downloaded, and for tests that need to know the truth.

No person stands behind it. Visitors have latent tastes, films have latent qualities that their genres hint at,
and whoever watches a film finds it by taste, by fame, or because it is like the one before.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgewise.ids import ItemId
from hub.datasets.films import Film, FilmHistory, Person, Ratings

VISITORS: Final = 250
FILMS: Final = 400
EVENTS: Final = 25_000
_TASTES: Final = 8
_START_S: Final = 874_724_710
_DURATION_S: Final = 214 * 86_400
_VISIT_LENGTH: Final = 40
"""Mean number of films that a visitor rates in a row."""

_GENRES: Final = (
    ("Action", "Adventure"),
    ("Comedy",),
    ("Drama",),
    ("Horror", "Thriller"),
    ("Romance", "Comedy"),
    ("Sci-Fi", "Action"),
    ("Crime", "Film-Noir"),
    ("Children's", "Animation"),
)
# fmt: off
_FIRST: Final = (
    "Amber", "Silent", "Distant", "Paper", "Iron", "Hollow", "Velvet",
    "Crooked", "Northern", "Borrowed", "Salt", "Glass", "Second", "Burning",
)
_SECOND: Final = (
    "Harbour", "Orchard", "Letter", "Winter", "Mirror", "Engine", "Garden",
    "Parade", "Lantern", "Verdict", "Island", "Waltz", "Frontier",
)
# fmt: on
_THIRD: Final = ("", " Returns", " at Dawn", " Revisited")
_OCCUPATIONS: Final = ("student", "engineer", "educator", "writer", "artist", "retired")


def simulate(seed: int = 0, *, visitors: int = VISITORS, films: int = FILMS, events: int = EVENTS) -> FilmHistory:
    """A history that a person can read, equal for equal arguments.

    Visitors arrive over seven months, most of them late, so that a split by time leaves new ones to be learned
    from their clicks. Nobody rates a film twice. `events` is an upper bound: who has rated half of the films stays
    away.
    """
    generator = np.random.default_rng(seed)
    kind = generator.integers(_TASTES, size=films)
    quality = 0.55 * generator.normal(size=(films, _TASTES))
    quality[np.arange(films), kind] += 2.0
    fame = 0.9 * generator.normal(size=films)
    taste = generator.dirichlet(np.full(_TASTES, 0.25), size=visitors)
    appeal = 2.2 * taste @ quality.T + fame
    drawn = _draw_events(generator, appeal, quality, events)
    users = [str(visitor + 1) for visitor in range(visitors)]
    items = [ItemId(str(film + 1)) for film in range(films)]
    liking = appeal[drawn.user, drawn.item] - appeal.mean() + generator.normal(size=len(drawn.user))
    stars = np.clip(np.round(2.6 + 0.6 * liking), 1, 5).astype(np.float32)
    return FilmHistory(
        name=f"simulated world (seed {seed})",
        simulated=True,
        ratings=Ratings(
            user=[users[visitor] for visitor in drawn.user],
            item=[items[film] for film in drawn.item],
            rating=stars,
            time_s=drawn.time_s,
        ),
        items={
            items[film]: Film(_title(film), int(generator.integers(1950, 1999)), _GENRES[kind[film]])
            for film in range(films)
        },
        users={
            user: Person(
                int(generator.integers(16, 70)),
                "FM"[generator.integers(2)],
                _OCCUPATIONS[generator.integers(len(_OCCUPATIONS))],
            )
            for user in users
        },
    )


class _Drawn(NamedTuple):
    """Who watched what when, sorted by time."""

    user: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.int64]


def _draw_events(
    generator: np.random.Generator,
    appeal: npt.NDArray[np.float64],
    quality: npt.NDArray[np.float64],
    events: int,
) -> _Drawn:
    visitors, films = appeal.shape
    kinship = 0.35 * quality @ quality.T
    # Few visitors rate a lot: the counts are log-normal, and rounded down so that they stay below `events`.
    activity = generator.lognormal(0.0, 0.7, visitors)
    counts = np.minimum(events * activity / np.sum(activity), films / 2).astype(np.int64)
    user: list[int] = []
    item: list[int] = []
    time_s: list[int] = []
    for visitor in range(visitors):
        now_s = _START_S + _DURATION_S * np.sqrt(generator.random())
        logits = appeal[visitor].copy()
        previous: int | None = None
        for _ in range(counts[visitor]):
            if previous is not None and generator.random() * _VISIT_LENGTH < 1:
                previous = None
                now_s += generator.exponential(5 * 86_400)
            # The largest of logit + Gumbel noise is a draw from their softmax.
            noise = generator.gumbel(size=films)
            film = int(np.argmax(logits + noise + (0.0 if previous is None else kinship[previous])))
            user.append(visitor)
            item.append(film)
            time_s.append(int(now_s))
            logits[film] = -np.inf
            previous = film
            now_s += generator.exponential(20)
    order = np.argsort(np.array(time_s), kind="stable")
    return _Drawn(np.array(user)[order], np.array(item)[order], np.array(time_s)[order])


def _title(film: int) -> str:
    """An invented title; each of the first 728 is another."""
    first, rest = film % len(_FIRST), film // len(_FIRST)
    second, third = (rest + film) % len(_SECOND), rest // len(_SECOND)
    return f"{_FIRST[first]} {_SECOND[second]}{_THIRD[third % len(_THIRD)]}"
