"""Why carts are left, in an invented shop that knows it: weak labels and the score against planted reasons.

No public data say why a cart was left. Here every cart has one planted reason, which shows in most of the deeds that
belong to it and, by chance, in a few that do not; the trainer sees deeds only. The score is asked about another shop of
the same kind, whose visitors it has never seen, through the scorer that runs on the edge.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from score_shop import Shop, simulate, write_site

from accuracy.claim import Claim
from accuracy.ground import Ground
from edgewise.ids import ModelName
from hub.evaluation.bootstrap import percentile_interval
from hub.scoring_child import ScoringChild
from hub.site.loading import SiteContents
from hub.site.score_recipe import Abandonment
from hub.train.history import History
from hub.train.scores.carts import left_carts
from hub.train.scores.judging import f1_macro, tables_of
from hub.train.scores.moments import MINUTE_MS, Moment
from hub.train.scores.rows import replayed
from hub.train.scores.score import MadeScore, make_score, score_recipe_of
from hub.train.scores.weak_labels import spoken

NAME: Final = ModelName("why_left")
VISITORS: Final = 1_200
SEEN: Final = 1
UNSEEN: Final = 2
RESAMPLES: Final = 500
WELL: Final = 0.05
PROTOCOL: Final = (
    f"invented shop (tests/score_shop.py), {VISITORS:,} visitors, 150 days, six planted reasons; a deed that belongs "
    "to the reason is done in 85 % of its carts, in 4 % of others; learned from seed 1 without a reason, asked of "
    "every cart left in seed 2, columns as a node computes them an hour later, model run by the edge's scorer; "
    "interval by bootstrap over carts"
)


def measure(ground: Ground) -> list[Claim]:
    """Macro-F1 and calibration of weak labels and of the score."""
    contents = write_site(ground.folder / "site")
    seen, unseen = (simulate(seed, visitors=VISITORS) for seed in (SEEN, UNSEEN))
    made = make_score(History(seen.records), contents, NAME, score_recipe_of(contents, NAME))
    history = History(unseen.records)
    truth, weak, said = _asked(made, contents, history, unseen)
    claims = []
    for what, given in (("weak labels", weak), ("the score", said)):
        low, f1, high = _f1(truth, given)
        error = _error(truth, given, made.artefacts.kind.classes)
        claims += [
            Claim(
                what=f"macro-F1 of {what} against planted reasons of abandonment",
                value=f1,
                low=low,
                high=high,
                at_least=0.8,
                source="what this product asks of itself",
                protocol=PROTOCOL,
                detail={"carts": len(truth), "parity": made.card["parity"]},
            ),
            Claim(
                what=f"calibration error of {what} against planted reasons of abandonment",
                value=error,
                at_most=WELL if what == "the score" else None,
                source="set here: what is said is off by a twentieth at most" if what == "the score" else "",
                protocol=f"{PROTOCOL}; ten bins of equal size a reason, reasons weighed by how often they came",
            ),
        ]
    return claims


def _asked(
    made: MadeScore, contents: SiteContents, history: History, shop: Shop
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Of every left cart the planted class (n,), what weak labels say and what the score says, (n, K)."""
    told, weak = made.evidence.recipe.predicts, made.evidence.examples.weak
    assert isinstance(told, Abandonment)
    assert weak is not None
    assert made.artefacts.model is not None
    carts = left_carts(history, told)
    idle_ms = told.idle_minutes * MINUTE_MS
    moments = [Moment(cart.deed, cart.visitor, cart.last_ms + idle_ms, cart.last_ms + idle_ms, "") for cart in carts]
    matrix, is_asked = replayed(history, contents, made.artefacts.features, moments)
    assert is_asked.all()
    with ScoringChild() as child:
        said = child.score(made.artefacts.model, matrix).astype(np.float64)
    classes = made.artefacts.kind.classes
    planted = [shop.reasons[_who(history, cart.deed), cart.last_ms] for cart in carts]
    truth = np.array([classes.index(reason) for reason in planted], np.int64)
    return truth, weak.model.belief(spoken(carts, weak.rules)), said


def _who(history: History, deed: int) -> str:
    return history.deeds[deed].record.subject


def _f1(truth: NDArray[np.int64], said: NDArray[np.float64]) -> tuple[float, float, float]:
    given = said.argmax(axis=1)
    rng = np.random.default_rng(0)
    drawn = [
        f1_macro(truth, given, np.bincount(rng.integers(0, len(truth), len(truth)), minlength=len(truth)).astype(float))
        for _ in range(RESAMPLES)
    ]
    low, high = percentile_interval(np.array(drawn))
    return low, f1_macro(truth, given, np.ones(len(truth))), high


def _error(truth: NDArray[np.int64], said: NDArray[np.float64], classes: tuple[str, ...]) -> float:
    came = np.eye(len(classes))[truth]
    errors = np.array([table.error for table in tables_of(said, came, classes).values()])
    return float((errors * came.mean(axis=0)).sum())
