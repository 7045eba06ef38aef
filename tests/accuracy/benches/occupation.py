"""Whether what people watch tells their occupation, on MovieLens 100k: an audience trait for those who state none."""

from __future__ import annotations

import os
from typing import Any, Final

import msgspec
from score_world import features_of, granted_event, site_of

from accuracy.claim import Claim
from accuracy.ground import Ground
from edgewise.errors import UnavailableError
from edgewise.ids import ModelName
from edgewise.records import EventRecord, Touch
from hub.datasets import movielens
from hub.datasets.download import default_cache
from hub.datasets.films import Film, FilmHistory
from hub.site.score_recipe import ScoreRecipe, ScoreTrees, TraitScore
from hub.train.history import History
from hub.train.scores.score import make_score

NAME: Final = ModelName("occupation")
TREES: Final = ScoreTrees(rounds=80, num_leaves=4, learning_rate=0.05, min_data_in_leaf=40, lambda_l2=10.0)
PROTOCOL: Final = (
    "MovieLens 100k as reviews; occupation stated by all 943 users and hidden from the columns, which are decayed "
    "shares of genres and decades, counts and visits (no age, gender or place code); one moment of each of the last 4 "
    "visits; users by their first visit: first 60 % learn, next 10 % calibrate, last 30 % judged; intervals by "
    "bootstrap over users; the prior ranks nobody above anybody, its AUC is .5"
)


def measure(ground: Ground) -> list[Claim]:
    """One occupation (the commonest, student), and all of them."""
    try:
        films = movielens.load(default_cache(os.environ))
    except UnavailableError as absent:
        return [Claim(what="occupation, MovieLens 100k", value=None, protocol=PROTOCOL, reason=str(absent))]
    contents = site_of(
        ground.folder / "site",
        features_of({"category": _genres(films), "brand": _decades(films)}, half_life_days=180.0) + _counts(),
        {item: {"category": list(film.genres), "brand": _decade(film)} for item, film in films.items.items()},
    )
    history = History(_records(films))
    claims = []
    for what, told, measure_name in (
        ("AUC of student", TraitScore("occupation", value="student"), "auc"),
        ("macro-AUC over occupations", TraitScore("occupation"), "macro_auc"),
    ):
        recipe = ScoreRecipe(told, calibration_share=0.1, validation_share=0.3, trees=TREES)
        made = make_score(history, contents, NAME, recipe)
        found = made.judged.measures[measure_name]
        claims.append(
            Claim(
                what=f"{what}, low end of its interval, MovieLens 100k",
                value=found.ci_low,
                low=found.ci_low,
                high=found.ci_high,
                at_least=0.5,
                source="the prior",
                protocol=PROTOCOL,
                detail={"auc": found.estimate, "visitors": made.judged.visitors, "parity": made.card["parity"]},
            )
        )
        claims.append(
            Claim(
                what=f"{what}, MovieLens 100k",
                value=found.estimate,
                low=found.ci_low,
                high=found.ci_high,
                protocol=PROTOCOL,
                detail={name: msgspec.structs.asdict(of) for name, of in made.judged.measures.items()},
            )
        )
    return claims


def _records(films: FilmHistory) -> list[EventRecord]:
    ratings = films.ratings
    first_s: dict[str, int] = {}
    for user, time_s in zip(ratings.user, ratings.time_s.tolist(), strict=True):
        first_s[user] = min(time_s, first_s.get(user, time_s))
    records = [
        granted_event(user, time_s * 1_000, "identify", traits={"occupation": films.users[user].occupation})
        for user, time_s in first_s.items()
    ]
    for user, item, stars, time_s in zip(
        ratings.user, ratings.item, ratings.rating.tolist(), ratings.time_s.tolist(), strict=True
    ):
        film = films.items[item]
        touch = Touch(
            item, rating=stars, dimensions={"category": film.genres, "brand": (_decade(film),)} if film.genres else {}
        )
        records.append(granted_event(user, time_s * 1_000, "track", "Product Reviewed", touches=(touch,)))
    return [msgspec.structs.replace(record, seq=number) for number, record in enumerate(records)]


def _genres(films: FilmHistory) -> list[str]:
    return sorted({genre for film in films.items.values() for genre in film.genres})


def _decades(films: FilmHistory) -> list[str]:
    return sorted({_decade(film) for film in films.items.values()})


def _decade(film: Film) -> str:
    return "unknown" if film.year is None else f"{film.year // 10 * 10}s"


def _counts() -> list[dict[str, Any]]:
    return [
        {"name": "reviews_30d", "type": "window_count", "kind": "review", "days": 30},
        {"name": "visits_90d", "type": "visits", "days": 90},
        {"name": "active_days_90d", "type": "active_days", "days": 90},
        {"name": "films", "type": "history_length"},
        {"name": "genres", "type": "distinct_count", "of": "category"},
    ]
