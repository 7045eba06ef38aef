"""The ranker on a wholesaler's invoices: does what it ships foresee the next one better than what shops do today?"""

from __future__ import annotations

import datetime as dt
import resource
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accuracy.claim import Claim
from accuracy.ground import Ground
from accuracy.rivals import Bought, bought_of, rivals
from accuracy.wholesaler import (
    AGAIN,
    FRESH,
    INVOICES,
    Invoice,
    Wholesaler,
    purchases,
    read_wholesaler,
    write_site,
)
from edgewise.consent import Grants
from edgewise.ids import ItemId, ModelName
from edgewise.profile.preferences import Preferences
from edgewise.profile.reduce import apply
from edgewise.profile.state import Profile
from hub.artefacts import Artefacts
from hub.evaluation.bootstrap import percentile_interval, resampled_sums
from hub.ledger.ledger import Ledger, open_ledger
from hub.registry import ModelRegistry
from hub.scoring_child import ScoringChild
from hub.site.loading import SiteContents
from hub.train.history import History, read_history
from hub.train.items import FittedItems
from hub.train.ranker import How, train_ranker
from hub.train.shop import NOWHERE, Shop, best_rank

FILE: Final = "online_retail/online_retail.parquet"
CUT: Final = dt.datetime(2011, 11, 1, tzinfo=dt.UTC)
K: Final = 10
RESAMPLES: Final = 10_000
DAY_MS: Final = 86_400_000
GRANTED: Final = Grants(personalisation=True, analytics=True)
RECIPE: Final[dict[str, Any]] = {
    "outcome": {"kind": "order"},
    "neighbours": {"lambda": 300, "per_item": 200},
    # Chosen on the latest quarter of the outcomes before the cut.
    "trees": {"objective": "lambdarank"},
    "negatives": 60,
    "refits": 6,
    "statistics": {
        "popularity": {"statistic": "popularity"},
        "popularity_7": {"statistic": "popularity", "days": 7},
        "popularity_30": {"statistic": "popularity", "days": 30},
    },
}
PROTOCOL: Final = (
    "Online Retail: articles (five digits and letters) sold to customers who are known, quantity and price above 0; "
    "learned from invoices before 2011-11-01 only; judged on the first invoice from then on of each customer who had "
    "one before; hit rate@10: share of customers with one of the ten on that invoice. Interval: percentile bootstrap "
    "over customers, 10,000 resamples, seed 0"
)
NEW: Final = "; of articles that the customer had not bought before, for every method, and customers who bought such"


class Trial(NamedTuple):
    """A customer before the invoice to foresee."""

    customer: str
    invoice: Invoice


def measure(ground: Ground) -> list[Claim]:
    """Train both rankers through the ledger and the registry, and set them beside rules and item-kNN."""
    shop = read_wholesaler(ground.shared(FILE))
    cut_ms = round(CUT.timestamp() * 1_000)
    past = [invoice for invoice in shop.invoices if invoice.time_ms < cut_ms]
    trials = _trials(past, shop.invoices[len(past) :])
    contents = write_site(ground.folder / "site", shop, RECIPE)
    bought = bought_of(past, sorted(shop.words))
    claims: list[Claim] = []
    with open_ledger(ground.folder / "hub") as ledger:
        ledger.append(INVOICES, purchases(shop, past), cut_ms)
        registry = ModelRegistry(ground.folder / "hub", ledger)
        history = read_history(ledger)
        with ground.terminal.working("judging what shops do today …"):
            best = _best_rivals(past, bought, trials)
        for name in (AGAIN, FRESH):
            asked = _wants_new(trials, past) if name == FRESH else trials
            with ground.terminal.working(f"training {name} …"):
                trained = train_ranker(contents, ledger, registry, name, by="bench")
            with ground.terminal.working(f"judging {name} …"):
                ranker = _ranker_hits(contents, name, registry.artefacts(name, trained.version), history, asked)
            found = _claims(ranker, best[name], is_fresh=name == FRESH)
            for claim in found:
                ground.terminal.note(f"{claim.what}: {claim.value:.4f}")
            claims += found
        claims += _a_day(ground, contents, ledger, shop)
    return claims


def _trials(past: Sequence[Invoice], later: Sequence[Invoice]) -> list[Trial]:
    known = {invoice.customer for invoice in past}
    first: dict[str, Invoice] = {}
    for invoice in later:
        if invoice.customer in known:
            first.setdefault(invoice.customer, invoice)
    return [Trial(customer, invoice) for customer, invoice in first.items()]


def _ranker_hits(
    contents: SiteContents,
    name: ModelName,
    artefacts: Artefacts,
    history: History,
    trials: Sequence[Trial],
) -> NDArray[np.float64]:
    """(trials,): 1 where one of the ten is on the invoice. Items, rows and scores are those that a node would have."""
    fitted = FittedItems(len(history), artefacts.neighbours, dict(artefacts.statistics))
    shop = Shop(contents, name, contents.recipes[name], fitted)
    profiles = _profiles(history)
    choices = [
        shop.choice(
            profiles[f"customer-{trial.customer}"],
            Preferences(),
            GRANTED,
            trial.invoice.time_ms,
            wanted=[ItemId(article) for article in trial.invoice.lines],
        )
        for trial in trials
    ]
    there = [choice for choice in choices if choice is not None]
    assert artefacts.model is not None
    with ScoringChild() as child:
        scores = child.score(artefacts.model, np.concatenate([choice.matrix for choice in there]))
    hits, start = [], 0
    for choice in choices:
        rank = NOWHERE
        if choice is not None:
            end = start + choice.retrieved
            rank = best_rank(scores[start:end], choice.wanted[: choice.retrieved])
            start += len(choice.matrix)
        hits.append(float(rank < K))
    return np.array(hits)


def _profiles(history: History) -> dict[str, Profile]:
    profiles: dict[str, Profile] = {}
    for deed in history.deeds:
        apply(profiles.setdefault(str(deed.record.subject), Profile()), deed.record)
    return profiles


Best = dict[str, tuple[str, NDArray[np.float64]]]
"""Kind of rival -> the name of its best variant, and its hits."""


def _best_rivals(past: Sequence[Invoice], bought: Bought, trials: Sequence[Trial]) -> dict[ModelName, Best]:
    """The best of each kind, on the very trials: of all articles, and of new ones where the customer wanted such."""
    row_of = {customer: row for row, customer in enumerate(bought.customers)}
    own = [bought.invoices[[row_of[trial.customer]]].indices for trial in trials]
    new = {trial.customer for trial in _wants_new(trials, past)}
    wants_new = np.array([trial.customer in new for trial in trials])
    best: dict[ModelName, Best] = {AGAIN: {}, FRESH: {}}
    for rival in rivals(past, bought, [trial.customer for trial in trials]):
        scores = rival.scores.copy()
        hits = {AGAIN: _hits(scores, bought, trials)}
        for row, articles in zip(scores, own, strict=True):
            row[articles] = -np.inf
        hits[FRESH] = _hits(scores, bought, trials)[wants_new]
        for name, found in hits.items():
            if rival.kind not in best[name] or found.sum() > best[name][rival.kind][1].sum():
                best[name][rival.kind] = (rival.name, found)
    return best


def _hits(scores: NDArray[np.float64], bought: Bought, trials: Sequence[Trial]) -> NDArray[np.float64]:
    """(trials,): 1 where one of the ten best is on the invoice; ties go to the lower article number."""
    hits = []
    for trial, row in zip(trials, scores, strict=True):
        ten = np.argsort(-row, kind="stable")[:K]
        hits.append(float(any(bought.articles[code] in trial.invoice.lines for code in ten)))
    return np.array(hits)


def _wants_new(trials: Sequence[Trial], past: Sequence[Invoice]) -> list[Trial]:
    had: dict[str, set[str]] = {}
    for invoice in past:
        had.setdefault(invoice.customer, set()).update(invoice.lines)
    return [trial for trial in trials if trial.invoice.lines.keys() - had[trial.customer]]


def _a_day(ground: Ground, contents: SiteContents, ledger: Ledger, shop: Wholesaler) -> list[Claim]:
    """Add the first day after the cut to the model that was trained until then."""
    cut_ms = round(CUT.timestamp() * 1_000)
    day = [one for one in shop.invoices if cut_ms <= one.time_ms < cut_ms + DAY_MS]
    ledger.append(INVOICES, purchases(shop, day), cut_ms + DAY_MS)
    registry = ModelRegistry(ground.folder / "hub", ledger)
    began_s, began_cpu_s = time.perf_counter(), _processor_s()
    with ground.terminal.working("adding a day …"):
        made = train_ranker(contents, ledger, registry, AGAIN, by="bench", how=How(incremental=True))
    took_s, cpu_s = time.perf_counter() - began_s, _processor_s() - began_cpu_s
    measures = made.judged["all"].measures
    gained = measures[f"hit_rate@{K} above the parent"]
    return [
        Claim(
            what=f"a day's incremental training, {len(day)} invoices, seconds by the clock",
            value=took_s,
            at_most=30.0,
            source="the plan's budget",
            protocol="Online Retail: version 1 knows everything before 2011-11-01, that day comes in; from reading the "
            "ledger to the registered version 2, with parity and golden rows by the edge's scorer",
            reason=f"{cpu_s:.1f} s of processor time; the rest is waiting for cores" if took_s > 30.0 else "",
            detail={"processor_s": round(cpu_s, 1), "card": made.card["reproduction"]},
        ),
        Claim(
            what="hit rate@10, the day's later invoices, with its earlier ones learned: above the model without",
            value=gained.estimate,
            low=gained.ci_low,
            high=gained.ci_high,
            protocol="Online Retail: the last third of the invoices of 2011-11-01, both models with the items of the "
            "evening before",
        ),
    ]


def _processor_s() -> float:
    """Of this process and of the scorers that it has waited for."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def _claims(
    ranker: NDArray[np.float64], by_rival: Mapping[str, tuple[str, NDArray[np.float64]]], *, is_fresh: bool
) -> list[Claim]:
    """Bounds are of all articles; of new ones it is told where the ranker's advantage lies, and where it does not."""
    protocol = PROTOCOL + (NEW if is_fresh else "")
    what = "new articles on the next invoice" if is_fresh else "next invoice"
    low, high = _interval(ranker)
    claims = [
        Claim(
            what=f"hit rate@10, {what}, the shipped ranker",
            value=float(ranker.mean()),
            low=low,
            high=high,
            protocol=protocol,
        )
    ]
    for kind, (name, hits) in by_rival.items():
        low, high = _interval(hits)
        claims.append(
            Claim(what=f"hit rate@10, {what}, {name}", value=float(hits.mean()), low=low, high=high, protocol=protocol)
        )
        low, high = _interval(ranker - hits)
        gained = float((ranker - hits).mean())
        claims.append(
            Claim(
                what=f"hit rate@10, {what}, the ranker above {kind}: lower end of the interval",
                value=low,
                low=low,
                high=high,
                at_least=None if is_fresh or kind == "habit" else 0.0,
                source="paired; against the variant that is best on these very invoices",
                protocol=protocol,
                reason="" if low >= 0 else f"the difference is {gained:+.4f}; too few customers to tell it from none",
                detail={"difference": gained},
            )
        )
    return claims


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    parts = np.column_stack([np.ones(len(values)), values])
    sums = resampled_sums(parts, RESAMPLES, np.random.default_rng(0))
    return percentile_interval(sums[:, 1] / sums[:, 0])
