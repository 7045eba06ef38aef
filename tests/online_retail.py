"""Half a million receipt lines of a wholesaler (UCI "Online Retail", Chen, Sain, Guo 2012), as a source of a site."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

VARIABLE: Final = "EDGEWISE_DATA"
LINES: Final = 541_909
INVOICES: Final = 25_900
CUSTOMERS: Final = 4_372
TOTAL: Final = "9747747.93"
"""Sum of Quantity x UnitPrice in GBP, over all lines."""

SOURCE: Final = """kind: offline
timezone: Europe/London
currency: GBP
consent: granted
nobody: count
identifiers: {userId: CustomerID}
time: InvoiceDate
records:
  - event: Offline Purchase
    where: [{column: Quantity, above: 0}]
    group: [InvoiceNo]
    properties: &receipt
      order_id: {column: InvoiceNo, type: id}
      country: Country
    products: &lines
      fields:
        product_id: {column: StockCode, type: id}
        quantity: {column: Quantity, type: integer, required: true}
        price: {column: UnitPrice, type: money, required: true}
  - event: Order Refunded
    where: [{column: Quantity, at_most: 0}]
    group: [InvoiceNo]
    properties: *receipt
    products: *lines
"""


def receipts_file() -> Path | None:
    """The Parquet file in `$EDGEWISE_DATA`, else ../shared/data beside the repository; None: not there."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    found = Path(os.environ.get(VARIABLE, beside)) / "online_retail" / "online_retail.parquet"
    return found if found.is_file() else None


def write_site(folder: Path) -> Path:
    """A site of this one source, `receipts`."""
    import json

    import yaml

    (folder / "sources").mkdir(parents=True)
    (folder / "site.yaml").write_text("name: wholesaler\n")
    # JSON is YAML without the anchors, which a site may not have
    (folder / "sources" / "receipts.yaml").write_text(json.dumps(yaml.safe_load(SOURCE), indent=1))
    return folder


def write_csv(parquet: Path, path: Path) -> Path:
    """The same rows as CSV."""
    import pyarrow.parquet as pq
    from pyarrow import csv

    csv.write_csv(pq.read_table(parquet), path)
    return path
