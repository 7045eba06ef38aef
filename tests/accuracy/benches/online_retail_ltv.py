"""What customers will buy: BG/NBD and Gamma-Gamma on CDNOW as published, both models on a wholesaler's receipts."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Final

from accuracy.claim import Claim
from accuracy.ground import Ground
from edgewise.errors import UnavailableError
from hub.datasets import cdnow
from hub.datasets.download import default_cache
from hub.lifetime.calibration import Calibration, Group, Held
from hub.lifetime.history import Unit
from hub.lifetime.purchases import Columns
from hub.lifetime.trial import LtvModel, LtvPlan, score_ltv

PAPER: Final = "Fader, Hardie, Lee 2005, table 2"
NOTE: Final = "Fader, Hardie 2013, note 025"
CDNOW: Final = (
    "CDNOW 1/10 sample, 2,357 customers, 39 weeks to 1997-09-30 to fit, 39 weeks after; one purchase a customer and "
    "day, weeks"
)
RETAIL: Final = (
    "Online Retail, rows with a CustomerID, value = Quantity x UnitPrice, one purchase a customer and day (a day's "
    "returns taken off it); fitted on all days up to the cut, judged by all days after it up to the end; intervals: "
    "bootstrap over customers"
)
CUTS: Final = (("summer", "2011-05-31", "2011-08-31"), ("before Christmas", "2011-08-31", "2011-12-09"))
SEASON: Final = (
    "one year holds one Christmas season: nothing that was known in August says how much is bought before it"
)


def measure(ground: Ground) -> list[Claim]:
    """CDNOW's published parameters, and calibration tables of the receipts at two cuts."""
    return [*_cdnow(), *_retail(ground)]


def _cdnow() -> list[Claim]:
    try:
        path = cdnow.sample_file(default_cache(os.environ))
    except UnavailableError as absent:
        return [Claim(what="CDNOW", value=None, protocol=CDNOW, reason=str(absent))]
    plan = LtvPlan(
        table=path, columns=Columns("customer", "date", "dollars"), calibration_end=dt.date(1997, 9, 30), unit=Unit.WEEK
    )
    found = score_ltv(plan)
    assert found.value_parameters is not None
    assert found.calibration is not None
    measured = [
        *(("BG/NBD " + name, found.parameters[name], at, 0.0005, PAPER) for name, at in _BGNBD.items()),
        ("BG/NBD log-likelihood", found.log_likelihood, -9582.4, 0.05, PAPER),
        *(("Gamma-Gamma " + name, found.value_parameters[name], at, 0.005, NOTE) for name, at in _GAMMA.items()),
    ]
    claims = [
        Claim(what=f"{what}, CDNOW", value=value, equals=at, within=within, source=source, protocol=CDNOW)
        for what, value, at, within, source in measured
    ]
    return [*claims, *_ratios(found.calibration, "BG/NBD, CDNOW", CDNOW)]


_BGNBD: Final = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
_GAMMA: Final = {"p": 6.25, "q": 3.74, "v": 15.44}


def _retail(ground: Ground) -> list[Claim]:
    path = ground.shared("online_retail/online_retail.parquet")
    claims: list[Claim] = []
    for season, cut, end in CUTS:
        receipts = _receipts(path, ground.folder / f"receipts-{end}.parquet", dt.date.fromisoformat(end))
        found: dict[LtvModel, Calibration] = {}
        for model in LtvModel:
            plan = LtvPlan(
                table=receipts,
                columns=Columns("customer", "time", "value"),
                model=model,
                calibration_end=dt.date.fromisoformat(cut),
                unit=Unit.WEEK,
            )
            judged = score_ltv(plan, ground.terminal.note).calibration
            assert judged is not None
            found[model] = judged
            claims += _table(judged, f"{model}, {season}", f"{RETAIL}; {season}: cut {cut}, end {end}")
        better = found[LtvModel.BGNBD].value_mae - found[LtvModel.ML].value_mae
        claims.append(
            Claim(
                what=f"value, mean absolute error a customer in GBP: BG/NBD less ml, {season}",
                value=better,
                at_least=0.0,
                source="trees that do not help are left out",
                protocol=RETAIL,
            )
        )
    return claims


def _table(judged: Calibration, of: str, protocol: str) -> list[Claim]:
    auc = judged.churn_auc
    return [
        *_ratios(judged, of, protocol),
        Claim(
            what=f"churn (no purchase in the period), AUC, {of}",
            value=auc.value,
            low=auc.ci_low,
            high=auc.ci_high,
            at_least=0.5,
            protocol=protocol,
        ),
        Claim(what=f"churn, Brier score, {of}", value=judged.churn_brier, protocol=protocol),
        Claim(what=f"churn, expected calibration error, {of}", value=judged.churn_error, protocol=protocol),
        Claim(what=f"value, rank correlation, {of}", value=judged.value_rank, protocol=protocol),
        *_groups(judged.by_churn, "churn: share gone at a risk of", of, protocol),
        *_groups(judged.by_value, "value in GBP where expected is", of, protocol),
    ]


def _ratios(judged: Calibration, of: str, protocol: str) -> list[Claim]:
    return [
        _ratio("purchases", judged.purchases_ratio, of, protocol),
        _ratio("value", judged.value_ratio, of, protocol),
    ]


def _ratio(what: str, held: Held, of: str, protocol: str) -> Claim:
    said = SEASON if "Christmas" in of else ""
    name = f"{what}: expected / actual in the period, {of}"
    return Claim(what=name, value=held.value, low=held.ci_low, high=held.ci_high, protocol=protocol, reason=said)


def _groups(groups: list[Group], what: str, of: str, protocol: str) -> list[Claim]:
    return [
        Claim(
            what=f"{what} {group.expected:.3f} ({group.customers} customers), {of}",
            value=group.actual.value,
            low=group.actual.ci_low,
            high=group.actual.ci_high,
            protocol=protocol,
        )
        for group in groups
    ]


def _receipts(source: Path, place: Path, end: dt.date) -> Path:
    """Customer, time and value of the lines up to a day."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    lines = pq.read_table(source, columns=["CustomerID", "InvoiceDate", "Quantity", "UnitPrice"])
    after = dt.datetime.combine(end + dt.timedelta(days=1), dt.time())
    early = pc.less(lines["InvoiceDate"], pa.scalar(after, lines["InvoiceDate"].type))
    lines = lines.filter(pc.and_(early, pc.is_valid(lines["CustomerID"])))
    value = pc.multiply(lines["Quantity"].cast(pa.float64()), lines["UnitPrice"])
    pq.write_table(pa.table({"customer": lines["CustomerID"], "time": lines["InvoiceDate"], "value": value}), place)
    return place
