"""Whether the edge can tell an exported model from the trained one: every kind that is exported, and every refusal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
from boosters import booster, names, rows
from exported_kinds import Exported, boosters, calibrated, computed_trees, linear
from pyarrow import csv
from refused_kinds import refusals
from shop_visits import OUTCOMES, visits

from accuracy.claim import Claim
from accuracy.composition import composition_claims
from accuracy.ground import Ground
from accuracy.parity_claims import parity_claim
from edgewise.errors import ModelRefused
from hub.export.attribution import export_attribution
from hub.export.forest import read_forest
from hub.parity import difference, parity_rows
from hub.scoring_child import ScoringChild
from hub.train.exporting import ADDITIVE
from hub.train.scoring.choices import ModelName, ScoreKind
from hub.train.scoring.trial import Plan, train_scoring

ROWS = 10_000
ROUNDS = 50
TRIED = (
    "10,000 seeded rows, a tenth missing, two columns of 40 categories; every threshold and one float32 step to either "
    "side, holes, zeros, unseen, negative and fractional categories; by the edge's scorer in its own process"
)
COMPUTED = "every threshold and four float32 steps to either side, in the columns before they are scaled"
LINEAR = "seeded rows, and the same seven times as far out; no trees, so no thresholds"
TABLES = "a table of 2,000 shop visits with missing cells; every threshold, holes and words that training never saw"


def measure(ground: Ground) -> list[Claim]:
    """One claim a kind, and one for what is refused."""
    claims = []
    with ScoringChild() as child:
        for tried, kinds in (
            (TRIED, chain(boosters(ROWS, ROUNDS), calibrated(ROWS, ROUNDS))),
            (COMPUTED, computed_trees(ROWS)),
            (LINEAR, linear(ROWS)),
        ):
            for exported in kinds:
                ground.terminal.note(exported.kind)
                claims.append(_compared(exported, child, tried))
        claims += _tables(ground.folder, child)
        claims += _attributions(child)
    return [*claims, _refused(), *composition_claims()]


def _compared(exported: Exported, child: ScoringChild, tried: str) -> Claim:
    served = child.score(exported.model, exported.matrix)
    return parity_claim(
        exported.kind, difference(exported.trained, served, thresholds=exported.thresholds), tried=tried
    )


def _tables(folder: Path, child: ScoringChild) -> Iterator[Claim]:
    """What `train scoring` makes of a table with words; its gate has compared, and would have raised."""
    table: pa.Table = visits(2_000)
    path = folder / "visits.csv"
    csv.write_csv(table, path)
    for target, kind in zip(OUTCOMES, (ScoreKind.BINARY, ScoreKind.COUNT, ScoreKind.REGRESSION, None), strict=True):
        for model in ModelName:
            if model is ModelName.LOGISTIC and target in {"orders", "spent"}:
                continue
            drop = tuple(name for name in OUTCOMES if name != target)
            plan = Plan(table=path, target=target, kind=kind, drop=drop, model=model, cv=2)
            report = train_scoring(plan, child=child).report
            yield parity_claim(f"`train scoring`, {report.model}, {report.kind}", report.parity, tried=TABLES)


def _attributions(child: ScoringChild) -> Iterator[Claim]:
    """Path attributions add up to the score of the same row."""
    table = rows(np.random.default_rng(11), ROWS, categories=2)
    for objective in ("binary", "lambdarank", "tweedie"):
        model = booster(table, objective, categories=2, rounds=ROUNDS, cat_smooth=1, min_data_per_group=1)
        tried = parity_rows(read_forest(model), table, seed=0)
        data = export_attribution(model, names(model)).SerializeToString()
        added = child.score(data, tried).sum(axis=1, dtype=np.float64)
        raw = np.asarray(model.predict(tried, raw_score=True))
        error = np.abs(added - raw) / np.maximum(1.0, np.abs(raw))
        yield Claim(
            what=f"rows of {len(tried):,} whose path attributions miss the score by more than {ADDITIVE:g} * "
            f"max(1, |y|), {objective}; the largest difference is {error.max():.1e}",
            value=float((~(error <= ADDITIVE)).sum()),
            at_most=0.0,
            source="float32 sums over all trees",
            protocol=TRIED,
        )


def _refused() -> Claim:
    passed = []
    every = list(refusals())
    for refusal in every:
        try:
            refusal.export()
        except ModelRefused as refused:
            if refused.code == refusal.code and refusal.said in str(refused):
                continue
        passed.append(refusal.kind)
    return Claim(
        what=f"of {len(every)} kinds of models that no graph reproduces exactly, not refused by name",
        value=float(len(passed)),
        at_most=0.0,
        source="they are silently wrong, or do not load",
        protocol="each is trained, exported, and must be refused with its code and its name",
        reason=", ".join(passed),
    )
