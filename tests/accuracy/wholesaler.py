"""The wholesaler of "Online Retail" as a site with two rankers, and its invoices as records of an import."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow.parquet as pq

from edgewise.bundle.catalogue import content_sha256
from edgewise.consent import Grants
from edgewise.ids import ItemId, MessageId, ModelName, Producer, SubjectId
from edgewise.records import EventRecord, Touch
from hub.site.loading import SiteContents, load_site

INVOICES: Final = Producer("import/invoices")
AGAIN: Final = ModelName("next_invoice")
"""Ranks all articles: a reseller buys again what sold."""
FRESH: Final = ModelName("new_articles")
"""Ranks those that the customer has not bought yet."""
_ARTICLE: Final = re.compile(r"[0-9]{5}[A-Z]*")
"""What is sold. `POST`, `BANK CHARGES` and the like are bookings."""
_SHORTEST_WORD: Final = 3
_GRANTED: Final = Grants(personalisation=True, analytics=True)


class Invoice(NamedTuple):
    """What one customer bought at one moment."""

    number: str
    customer: str
    time_ms: int
    lines: dict[str, tuple[int, int]]
    """Article -> pieces, price of a piece in pence; in the order of the invoice."""


class Wholesaler(NamedTuple):
    """Everything that was sold to somebody who is known, oldest first."""

    invoices: list[Invoice]
    words: dict[str, tuple[str, ...]]
    """Article -> the words of its commonest text."""


def read_wholesaler(parquet: Path) -> Wholesaler:
    """Lines of articles with a customer, a price and pieces above 0; an article counts once an invoice.

    An invoice with two timestamps counts from the first. Small and capital letters of an article's number are one.
    """
    columns = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
    table = pq.read_table(parquet, columns=list(columns)).to_pydict()
    found: dict[str, Invoice] = {}
    texts: dict[str, Counter[str]] = {}
    for number, code, text, pieces, when, price, customer in zip(*(table[name] for name in columns), strict=True):
        article = code.upper()
        if customer is None or pieces <= 0 or price <= 0 or not _ARTICLE.fullmatch(article):
            continue
        time_ms = round(when.replace(tzinfo=dt.UTC).timestamp() * 1_000)
        invoice = found.setdefault(number, Invoice(number, str(customer), time_ms, {}))
        before, _ = invoice.lines.get(article, (0, 0))
        invoice.lines[article] = (before + pieces, round(price * 100))
        if time_ms < invoice.time_ms:
            found[number] = invoice._replace(time_ms=time_ms)
        texts.setdefault(article, Counter())[text.strip()] += 1
    words = {article: _words(max(said, key=lambda one: (said[one], one))) for article, said in texts.items()}
    return Wholesaler(sorted(found.values(), key=lambda one: (one.time_ms, one.number)), words)


def purchases(shop: Wholesaler, invoices: Sequence[Invoice]) -> list[EventRecord]:
    """Invoices as the hub's import stores them: `Offline Purchase`, touches with what the catalogue knew of them."""
    return [
        EventRecord(
            producer=INVOICES,
            seq=0,
            subject=SubjectId(f"customer-{invoice.customer}"),
            message_id=MessageId(f"invoice-{invoice.number}"),
            type="track",
            name="Offline Purchase",
            time_ms=invoice.time_ms,
            received_ms=invoice.time_ms,
            grants=_GRANTED,
            touches=tuple(
                Touch(ItemId(article), quantity=pieces, value_minor=pence, dimensions=_dimensions(shop, article))
                for article, (pieces, pence) in invoice.lines.items()
            ),
            body=b"{}",
            vouched=True,
        )
        for invoice in invoices
    ]


def write_site(folder: Path, shop: Wholesaler, recipe: dict[str, Any]) -> SiteContents:
    """Two placements of ten articles, one a ranker, trained by `recipe`."""
    for kind in ("placements", "collections", "features", "models", "items"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    _write(folder / "site.yaml", {"name": "wholesaler", "currency": "GBP"})
    _write(folder / "collections" / "articles.yaml", {"all": True})
    _write(folder / "features" / "articles.yaml", _FEATURES)
    for model, is_fresh in ((AGAIN, False), (FRESH, True)):
        _write(folder / "placements" / f"{model}.yaml", _placement(model, shop, is_fresh=is_fresh))
        _write(folder / "models" / f"{model}.yaml", {"train": recipe | {"placement": model}})
    with (folder / "items" / "articles.jsonl").open("w", encoding="utf-8") as lines:
        for article, words in shop.words.items():
            content = {"title": " ".join(words)}
            approved = {"by": "bench", "sha256": content_sha256(content)}
            attributes = {name: list(values) for name, values in _dimensions(shop, article).items()}
            said = {"id": article, "content": content, "attributes": attributes, "approved": approved}
            lines.write(json.dumps(said) + "\n")
    return load_site(folder)


def _placement(model: ModelName, shop: Wholesaler, *, is_fresh: bool) -> dict[str, Any]:
    return {
        "collection": "articles",
        "count": 10,
        "arms": {
            "rule": {"ranking": {"method": "attribute", "attribute": "popularity"}},
            "ranker": {
                "ranking": {"method": "model", "model": model},
                "retrieval": {"method": "neighbours", "fill_attribute": "popularity_7", "limit": 500},
            },
        },
        "arm": "ranker",
        "opted_out_arm": "rule",
        "exclude_seen": is_fresh,
        "fallback": [min(shop.words)],
    }


_PURPOSELESS: Final[dict[str, Any]] = {"purpose": None}
_FEATURES: Final[list[dict[str, Any]]] = [
    {"type": "neighbour_score", "name": "alike"},
    {"type": "neighbour_score", "name": "alike_last_20", "last": 20},
    {"type": "neighbour_score", "name": "alike_last_60", "last": 60},
    {"type": "neighbour_max", "name": "alike_most"},
    {"type": "affinity_sum", "name": "again", "dimension": "brand", "half_life_days": 1_000},
    {"type": "affinity_sum", "name": "again_lately", "dimension": "brand", "half_life_days": 30},
    {"type": "affinity", "name": "again_share", "dimension": "brand", "half_life_days": 60},
    {"type": "affinity", "name": "words", "dimension": "category", "half_life_days": 60},
    {"type": "affinity_max", "name": "word", "dimension": "category", "half_life_days": 60},
    {"type": "affinity_sum", "name": "words_sum", "dimension": "category", "half_life_days": 60},
    {"type": "last_match", "name": "last_words", "dimension": "category", "last": 30},
    {"type": "days_since_item", "name": "days_since_item"},
    {"type": "days_since_order", "name": "days_since_order"},
    {"type": "window_count", "name": "orders_90", "kind": "order", "days": 90},
    {"type": "window_count", "name": "orders", "kind": "order", "days": 400},
    {"type": "history_length", "name": "history_length"},
    {"type": "item_attribute", "name": "popularity", "attribute": "popularity", **_PURPOSELESS},
    {"type": "item_attribute", "name": "popularity_7", "attribute": "popularity_7", **_PURPOSELESS},
    {"type": "item_attribute", "name": "popularity_30", "attribute": "popularity_30", **_PURPOSELESS},
]


def _dimensions(shop: Wholesaler, article: str) -> dict[str, tuple[str, ...]]:
    """Its words; and itself, so that a profile knows how often it was bought: what is sold there has no brand."""
    return {"category": shop.words[article], "brand": (article,)}


def _words(text: str) -> tuple[str, ...]:
    found = dict.fromkeys(re.findall(r"[A-Z]+", text.upper()))
    return tuple(word for word in found if len(word) >= _SHORTEST_WORD) or ("NOTHING",)


def _write(path: Path, said: object) -> None:
    # JSON is YAML
    path.write_text(json.dumps(said, indent=1), "utf-8")
