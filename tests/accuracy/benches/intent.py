"""What a customer puts into the basket next, on UCI Online Retail: next-category intent against "the last one again".

Serenade's sessions name no categories. Online Retail names none either, but its descriptions end in what a thing is:
`WHITE HANGING HEART T-LIGHT HOLDER`, `RED RETROSPOT MINI CASES`.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
from score_world import features_of, granted_event, site_of

from accuracy.claim import Claim
from accuracy.ground import Ground
from edgewise.ids import ItemId, ModelName
from edgewise.records import EventRecord, Touch
from hub.site.score_recipe import NextCategory, ScoreRecipe, ScoreTrees
from hub.train.history import History
from hub.train.scores.score import MadeScore, make_score

NAME: Final = ModelName("intent")
CATEGORIES: Final = 15
ROWS: Final = 20_000
TREES: Final = ScoreTrees(rounds=60, num_leaves=7, learning_rate=0.08, min_data_in_leaf=60)
DATA: Final = (
    "UCI Online Retail, lines of known customers with an article code and a quantity above 0; an article's category is "
    "the last word of its commonest description without a plural s, where it is one of the "
    f"{CATEGORIES} most frequent among articles, else it has none; each line an event `Product Added`, lines of an "
    "invoice one second apart in file order; by time: first 60 % of the moments learn (less those whose answer came "
    "later), next 20 % calibrate, last 20 % judged; intervals by bootstrap over customers"
)
VISIT: Final = (
    f"{DATA}; asked when a customer comes again: which category has most lines of the visit that begins (the first one "
    "of equals), beside the last line's of his visit before"
)
TOUCH: Final = (
    f"{DATA}; {ROWS:,} moments drawn (seed 0) within visits: the category of the next line, beside the last one's"
)
WITHIN: Final = (
    "within an order lines of one category stand together: to repeat the last one is then the best single guess, and "
    "the score adds how sure that is"
)
_WORD: Final = re.compile(r"[A-Z]{3,}")
_ARTICLE: Final = re.compile(r"\d{5}[A-Z]*")
_SECOND_MS: Final = 1_000


def measure(ground: Ground) -> list[Claim]:
    """Top-1 accuracy at arrivals and within visits, beside the last category."""
    lines = _Lines(ground.shared("online_retail/online_retail.parquet"))
    category_of = _categories(lines)
    names = sorted(set(category_of.values()))
    contents = site_of(
        ground.folder / "site",
        features_of({"category": names}, half_life_days=30.0, recent=(1, 5, 20)),
        {item: {"category": category} for item, category in category_of.items()},
    )
    history = History(_records(lines, category_of))
    claims = []
    for told, protocol in (
        (NextCategory(next="visit", most_classes=CATEGORIES), VISIT),
        (NextCategory(next="touch", most_classes=CATEGORIES), TOUCH),
    ):
        made = make_score(history, contents, NAME, ScoreRecipe(told, most_rows=ROWS, trees=TREES))
        claims += _claims(made, f"the next {told.next}'s category", protocol, must=told.next == "visit")
    return claims


def _claims(made: MadeScore, what: str, protocol: str, *, must: bool) -> list[Claim]:
    judged = made.judged
    above, hit, last = (
        judged.measures[name] for name in ("accuracy above the last", "accuracy", "accuracy of the last")
    )
    return [
        Claim(
            what=f"top-1 accuracy of {what} above the last one's, low end of the interval, Online Retail",
            value=above.ci_low,
            low=above.ci_low,
            high=above.ci_high,
            at_least=0.0 if must else None,
            source='the rule "the last category again"' if must else "",
            protocol=protocol,
            reason="" if must or above.ci_low > 0 else WITHIN,
            detail={"rows": judged.rows, "customers": judged.visitors, "parity": made.card["parity"]},
        ),
        Claim(
            what=f"top-1 accuracy of {what}, Online Retail",
            value=hit.estimate,
            low=hit.ci_low,
            high=hit.ci_high,
            protocol=protocol,
        ),
        Claim(
            what=f'top-1 accuracy of "the last category again" for {what}, Online Retail',
            value=last.estimate,
            low=last.ci_low,
            high=last.ci_high,
            protocol=protocol,
        ),
        Claim(
            what=f"calibration error of {what}, Online Retail",
            value=judged.error,
            protocol=f"{protocol}; ten bins of equal size a class, classes weighed by how often they came",
            detail={"trees alone": judged.error_before},
        ),
    ]


class _Lines:
    """Columns of the invoice lines that are used, in file order."""

    def __init__(self, path: Path) -> None:
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        table = table.filter(pc.and_(pc.is_valid(table["CustomerID"]), pc.greater(table["Quantity"], 0)))
        self.invoice: list[str] = table["InvoiceNo"].to_pylist()
        self.item: list[str] = table["StockCode"].to_pylist()
        self.said: list[str | None] = table["Description"].to_pylist()
        self.customer: list[int] = table["CustomerID"].to_pylist()
        self.time_ms: list[int] = pc.cast(table["InvoiceDate"], "int64").to_pylist()
        unit = str(table.schema.field("InvoiceDate").type)
        scale = {"timestamp[ns]": 1_000_000, "timestamp[us]": 1_000, "timestamp[ms]": 1}[unit]
        self.time_ms = (np.array(self.time_ms) // scale).tolist()


def _categories(lines: _Lines) -> dict[str, str]:
    """Article -> category, for those that have one."""
    descriptions: dict[str, Counter[str]] = {}
    for item, said in zip(lines.item, lines.said, strict=True):
        if said and _ARTICLE.fullmatch(item):
            descriptions.setdefault(item, Counter())[said] += 1
    heads = {
        item: words[-1].removesuffix("S")
        for item, counted in descriptions.items()
        if (words := _WORD.findall(min(counted, key=lambda text: (-counted[text], text))))
    }
    frequent = {
        name for name, _ in sorted(Counter(heads.values()).items(), key=lambda pair: (-pair[1], pair[0]))[:CATEGORIES]
    }
    return {item: head for item, head in heads.items() if head in frequent}


def _records(lines: _Lines, category_of: dict[str, str]) -> list[EventRecord]:
    records: list[EventRecord] = []
    place: Counter[str] = Counter()
    rows = zip(lines.invoice, lines.item, lines.customer, lines.time_ms, strict=True)
    for invoice, item, customer, time_ms in rows:
        category = category_of.get(item)
        if category is None:
            continue  # it moves no column and no answer
        touch = Touch(ItemId(item), dimensions={"category": (category,)})
        at_ms = time_ms + place[invoice] * _SECOND_MS
        place[invoice] += 1
        records.append(granted_event(str(customer), at_ms, "track", "Product Added", touches=(touch,)))
    return records
