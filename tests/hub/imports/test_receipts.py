"""Real receipts: every line of a year of a wholesaler, with its cancellations, strangers and equal lines."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import online_retail
import pytest
import sqlalchemy as sa
from figures.receipts import run_import

from edgewise.records import EventRecord, decode_record
from hub.ledger import tables
from hub.ledger.ledger import open_ledger

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_year_of_receipts_is_imported_whole(tmp_path: Path, form: str) -> None:
    found = online_retail.receipts_file()
    if found is None:
        pytest.skip(f"needs online_retail.parquet in ${online_retail.VARIABLE} or ../shared/data")
    site = online_retail.write_site(tmp_path / "site")
    path = found if form == "parquet" else online_retail.write_csv(found, tmp_path / "receipts.csv")
    imported = run_import(site, path, tmp_path / "hub")
    print(f"\n{form}: {imported.wall_s:.1f} s, {imported.cpu_s:.1f} s of processor time, {imported.peak_mb:.0f} MB")
    assert imported.peak_mb < 600
    lines, names, total, customers = 0, Counter[str](), Decimal(0), set()
    with open_ledger(tmp_path / "hub") as ledger, ledger.storage.reading() as connection:
        for (payload,) in connection.execute(sa.select(tables.events.c.record)):
            event = decode_record(payload)
            assert isinstance(event, EventRecord)
            lines += len(event.touches)
            names[event.name] += 1
            customers.add(event.subject)
            total += value_of(event)
    assert (lines, sum(names.values())) == (online_retail.LINES, online_retail.INVOICES)
    assert names["Order Refunded"] == 5_172, "3,836 cancellations, and write-offs that have no C"
    assert len(customers - {""}) == online_retail.CUSTOMERS
    assert f"{total:.2f}" == online_retail.TOTAL
    if form == "csv":
        return  # again costs as much as the first time
    again = run_import(site, path, tmp_path / "hub").report
    assert (again["stored"], again["known"], again["rejected"], again["profiles"]) == (0, online_retail.INVOICES, 0, 0)


def value_of(event: EventRecord) -> Decimal:
    """Exactly from what the source said, where that is kept; of nobody only minor units are."""
    if not event.body:
        return sum((Decimal(one.quantity * one.value_minor) / 100 for one in event.touches), Decimal(0))
    said = json.loads(event.body, parse_float=Decimal)["properties"]["products"]
    return sum((Decimal(one["quantity"]) * one["price"] for one in said), Decimal(0))
