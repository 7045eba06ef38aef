"""The shape of `sources/NAME.yaml`: which column of somebody's export is what.

    kind: offline
    timezone: Europe/London
    currency: GBP
    identifiers: {userId: CustomerID}
    records:
      - event: Offline Purchase
        time: InvoiceDate
        group: [InvoiceNo]
        properties: {order_id: InvoiceNo}
        products:
          fields: {product_id: StockCode, quantity: Quantity, price: {column: UnitPrice, type: money}}

A column is named as the file names it. In nested JSON it is a path: `customer.email`, `line_items[0].sku`,
`params[key=page].value` (the first entry of a list whose `key` is `page`), `tags[*]` (all of them).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NewType

import msgspec
from msgspec import Meta

from hub.sources.topic_part import TopicPart
from hub.sources.webhook_part import Webhook

SourceName = NewType("SourceName", str)
"""The name of its file; imports and message ids are called by it."""
Scalar = str | int | float | bool
Column = Annotated[str, Meta(min_length=1, max_length=500)]
CurrencyCode = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
SourceKind = Literal["crm", "shop", "email", "support", "offline", "analytics", "scores"]
FieldType = Literal["text", "id", "integer", "decimal", "money", "boolean", "date", "list"]
Purpose = Literal["personalisation", "analytics", "marketing"]
CallType = Literal["track", "identify", "page", "screen", "group", "alias"]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything in a document: an unknown key is a typing error."""


class Field(Part, frozen=True, kw_only=True):
    """One value of a call: where it is read, and what it must be. `NAME: column` is short for `{column: column}`."""

    column: Column | list[Column] | None = None
    """Where it stands; of several the first one that is filled."""
    value: Scalar | None = None
    """A constant instead of a column."""
    type: FieldType | None = None
    """None: as it comes, text in a CSV, typed in JSON and Parquet."""
    default: Scalar | None = None
    """What an empty cell means."""
    required: bool = False
    """An empty cell refuses the row."""
    values: dict[str, Scalar | None] = {}
    """What the source says -> what is meant; compared as text, in any case of letters. null: as if empty."""
    others: Literal["keep", "empty", "reject"] = "keep"
    """What becomes of a value that `values` does not list."""
    dates: list[str] = []
    """How dates are written, where this column differs from the document's."""
    separator: Annotated[str, Meta(min_length=1, max_length=5)] = ","
    """Between the entries of a list in one text."""
    minor: bool = False
    """Money in minor units: 1999 is 19.99 GBP, 1999 JPY, 1.999 KWD."""
    at_least: float | None = None
    at_most: float | None = None


FieldOrColumn = Column | Field


class Condition(Part, frozen=True, kw_only=True, rename={"equals": "is", "differs": "not"}):
    """What must hold of a row; everything that is said must. Text is compared as written, numbers as numbers."""

    column: Column
    equals: Scalar | list[Scalar] | None = None
    differs: Scalar | list[Scalar] | None = None
    starts: str | None = None
    contains: str | None = None
    filled: bool | None = None
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None


class Products(Part, frozen=True, kw_only=True):
    """The items of an order or a cart."""

    each: Column | None = None
    """A path to a list in the row, an entry a product; None: the row itself is one."""
    fields: dict[str, FieldOrColumn]
    """Read in the entry where there are entries, else in the row. `^.NAME` is the row around an entry."""


class Scores(Part, frozen=True, kw_only=True):
    """What a vendor's model says of people, kept as traits `score.VENDOR.NAME`, with `score.VENDOR.NAME.model`."""

    vendor: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]
    model: FieldOrColumn
    """Which model and version; a column, or `{value: churn 3.1}`."""
    fields: dict[str, FieldOrColumn]


class RecordRule(Part, frozen=True, kw_only=True):
    """One call of a row for which `where` holds. A row may make several, or none."""

    type: CallType = "track"
    event: Annotated[str, Meta(min_length=1, max_length=200)] | Field | None = None
    """The event's name itself, or where it stands."""
    name: FieldOrColumn | None = None
    """Of a page or screen."""
    label: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    """Tells this rule's calls from those of other rules of the same row; the event's name where it is not given."""
    where: list[Condition] = []
    time: FieldOrColumn | None = None
    """When it happened; the document's where it is not given."""
    key: list[Column] | None = None
    """The document's where it is not given."""
    group: list[Column] = []
    """Rows that agree in these columns are one call: the lines of an invoice. Its time is that of the earliest."""
    each: Column | None = None
    """A path to a list in the row, a call an entry for which `where` holds; the entry's own columns are `@.NAME`."""
    identifiers: dict[str, FieldOrColumn] = {}
    """Beside the document's."""
    properties: dict[str, FieldOrColumn] = {}
    traits: dict[str, FieldOrColumn] = {}
    context: dict[str, FieldOrColumn] = {}
    """`page.url`, `campaign.name`, `locale`, …"""
    products: Products | None = None
    scores: Scores | None = None


class Conversion(Part, frozen=True, kw_only=True):
    """Money of all currencies in one, by fixed rates."""

    to: CurrencyCode
    rates: dict[str, Annotated[float, Meta(gt=0)]]
    """Currency -> how much of `to` one unit of it is."""


class ItemNumber(Part, frozen=True, kw_only=True):
    """One number of an item."""

    column: Column
    of_many: Literal["first", "sum", "least"] = "first"
    """What a path to several (`variants[*].price`) comes to."""


class ItemFacts(Part, frozen=True, kw_only=True):
    """What a webhook says of items: live facts of those that the live release has, under names that it knows."""

    where: list[Condition] = []
    item: FieldOrColumn
    time: FieldOrColumn | None = None
    """When the numbers held. What is not newer than what was heard of the item is passed over: deliveries overtake each
    other, and one that somebody kept may be sent again. None: the last delivery holds."""
    numbers: Annotated[dict[str, ItemNumber], Meta(min_length=1)]


class Retention(Part, frozen=True, kw_only=True):
    """How long what this source said is kept; enforced by `edgewise data retain`."""

    days: Annotated[int, Meta(ge=1)] | None = None
    """Of its events and contacts; None: as long as the site keeps anything."""
    fields: dict[str, Annotated[int, Meta(ge=1)]] = {}
    """Trait, property or vault field -> days."""


class SourceDocument(Part, frozen=True, kw_only=True):
    """The whole document."""

    kind: SourceKind
    preset: str | None = None
    """A shipped document, which this one completes and overrides."""
    format: Literal["csv", "json", "jsonl", "parquet"] | None = None
    """None: by the file's ending."""
    encoding: Literal["auto", "utf-8", "utf-16", "cp1252", "iso-8859-1"] = "auto"
    """auto: UTF-8, or UTF-16 by its byte order mark."""
    fallback_encoding: Literal["cp1252", "iso-8859-1"] | None = None
    """What `auto` takes a file for that is no UTF-8 anywhere in it; None: such rows are refused."""
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] | None = None
    """None: the one of comma, semicolon, tab that the header has most of."""
    header: list[Column] | None = None
    """Names of the columns of a file that has no header of its own."""
    rows: Column | None = None
    """Where the rows lie in a JSON document that is not itself the list of them."""
    timezone: str = "UTC"
    """Of dates that name none."""
    dates: Annotated[tuple[str, ...], Meta(min_length=1)] = ("iso",)
    """How dates are written: `iso`, `epoch`, `epoch_ms`, `epoch_us`, or patterns such as `%d/%m/%Y %H:%M`. A date that
    two of them read differently is refused as ambiguous."""
    decimal_mark: Literal[".", ","] = "."
    currency: CurrencyCode | Field | None = None
    convert: Conversion | None = None
    region: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | None = None
    """Country of phone numbers that are written without one."""
    future: Literal["reject", "clamp"] = "reject"
    """What becomes of events later than now by more than the tolerance; clamp: they count as of now."""
    future_tolerance_minutes: Annotated[int, Meta(ge=0, le=1_440)] = 10
    """Clocks differ: what is later than now by less counts as of now in any case."""
    nobody: Literal["reject", "count", "skip"] = "reject"
    """What becomes of rows without any identifier; count: their items are counted, for nobody."""
    most_characters: Annotated[int, Meta(ge=1, le=100_000)] = 4_000
    """A longer text is refused."""
    user_agent: Column | None = None
    """Rows of robots, told by their user agent, are dropped and counted."""
    time: FieldOrColumn | None = None
    key: list[Column] = []
    """Columns that name a row. The same key again changes nothing (`identify`: unless it says something else than
    last). Without a key, equal rows are one."""
    identifiers: dict[str, FieldOrColumn] = {}
    """Kind (`userId`, `anonymousId`, `email`, `phone`, …) -> where it stands."""
    consent: Literal["granted", "site-default"] | dict[Purpose, Field] = "site-default"
    """What counts where the visitor has said nothing: `granted` is your statement that they agreed to all purposes."""
    consent_time: FieldOrColumn | None = None
    """When the row's `consent` was stated. Only then a grant lasts, against what the person denied before: a row's own
    time says when anybody edited it. A denial lasts in any case."""
    records: Annotated[list[RecordRule], Meta(min_length=1)]
    vault: dict[str, FieldOrColumn] = {}
    """What is kept as it is written, for linkage and mail: `first_name`, `surname`, `dob`, `email`, …"""
    retention: Retention = Retention()
    webhook: Webhook | None = None
    """How the hub knows that a live delivery is this source's own; None: it takes none."""
    topic: TopicPart | None = None
    """What tickets are about, found in their text by a model."""
    facts: ItemFacts | None = None
    """Only of webhooks: a file may be old, and live facts are what holds now (`edgewise facts import`)."""


def field_of(said: FieldOrColumn) -> Field:
    """The long form."""
    return Field(column=said) if isinstance(said, str) else said


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """A document over a preset: mappings key by key, everything else replaced."""
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        result[key] = merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return result
