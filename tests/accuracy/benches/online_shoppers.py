"""Whether a shop visit ends in a purchase: trees and a linear pipeline on UCI's Online Shoppers (Sakar et al. 2019)."""

from __future__ import annotations

from pathlib import Path

from accuracy.claim import Claim
from accuracy.ground import Ground
from accuracy.parity_claims import parity_claim
from hub.scoring_child import ScoringChild
from hub.train.scoring.choices import ModelName
from hub.train.scoring.report import ScoringReport
from hub.train.scoring.trial import Plan, train_scoring

TABLE = "online_shoppers/online_shoppers_intention.csv.gz"
CODES = ("OperatingSystems", "Browser", "Region", "TrafficType")
LEAKING = "PageValues"
"""Computed from transactions, so it partly tells the answer; a shop knows it before the visit only as an average."""
FLOORS = {ModelName.LIGHTGBM: 0.925, ModelName.LOGISTIC: 0.885}
PROTOCOL = (
    "12,330 visits, 5-fold stratified cross-validation (scikit-learn's StratifiedKFold, shuffled, seed 0), defaults of "
    "`edgewise train scoring`; codes of system, browser, region and traffic as categories; t-interval of the fold means"
)


def measure(ground: Ground) -> list[Claim]:
    """AUC with `PageValues` and without it, and how far the exported models are from the trained ones."""
    table = ground.shared(TABLE)
    claims = []
    with ScoringChild() as child:
        for model, floor in FLOORS.items():
            for is_whole in (True, False):
                ground.terminal.note(f"{model.value}, {'all columns' if is_whole else f'without {LEAKING}'}")
                claims += _claims(_report(table, model, child, is_whole=is_whole), floor if is_whole else None)
    return claims


def _report(table: Path, model: ModelName, child: ScoringChild, *, is_whole: bool) -> ScoringReport:
    drop = () if is_whole else (LEAKING,)
    plan = Plan(table=table, target="Revenue", drop=drop, categorical=CODES, model=model, cv=5, seed=0)
    return train_scoring(plan, child=child).report


def _claims(report: ScoringReport, floor: float | None) -> list[Claim]:
    columns = "all columns" if floor is not None else f"without {LEAKING}"
    auc, precision, parity = report.metrics["auc"], report.metrics["average_precision"], report.parity
    return [
        Claim(
            what=f"AUC, {report.model}, {columns}",
            value=auc.mean,
            low=auc.ci_low,
            high=auc.ci_high,
            at_least=floor,
            source="" if floor is None else "floors of the data's README: .931 and .890 with scikit-learn",
            protocol=PROTOCOL,
        ),
        Claim(
            what=f"average precision, {report.model}, {columns}",
            value=precision.mean,
            low=precision.ci_low,
            high=precision.ci_high,
            protocol=PROTOCOL,
        ),
        parity_claim(
            f"{report.model}, {columns}",
            parity,
            tried="the rows of the table, every threshold and one float32 step to either side, holes, unseen words",
        ),
    ]
