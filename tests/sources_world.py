"""Documents and files of invented business systems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from edgewise.clock import ManualClock
from hub.imports.source_import import ImportedSource, import_source
from hub.imports.stated_consent import StatedConsent
from hub.ledger.ledger import Ledger
from hub.sources.document import SourceDocument

KEY = b"k" * 32
NOW_MS = 1_767_225_600_000
"""2026-01-01."""

RECEIPTS: dict[str, Any] = {
    "kind": "offline",
    "timezone": "Europe/London",
    "currency": "GBP",
    "identifiers": {"userId": "customer"},
    "consent": "granted",
    "records": [
        {
            "event": "Offline Purchase",
            "where": [{"column": "pieces", "above": 0}],
            "time": "when",
            "group": ["receipt"],
            "properties": {"order_id": {"column": "receipt", "type": "id"}},
            "products": {
                "fields": {
                    "product_id": {"column": "article", "type": "id"},
                    "quantity": {"column": "pieces", "type": "integer", "required": True},
                    "price": {"column": "price", "type": "money", "required": True},
                }
            },
        },
        {
            "event": "Order Refunded",
            "where": [{"column": "pieces", "below": 0}],
            "time": "when",
            "group": ["receipt"],
            "properties": {"order_id": {"column": "receipt", "type": "id"}},
            "products": {
                "fields": {
                    "product_id": {"column": "article", "type": "id"},
                    "quantity": {"column": "pieces", "type": "integer"},
                    "price": {"column": "price", "type": "money"},
                }
            },
        },
    ],
}
CONTACTS: dict[str, Any] = {
    "kind": "crm",
    "region": "GB",
    "key": ["id"],
    "time": "changed",
    "dates": ["iso", "%d/%m/%Y"],
    "consent": "granted",
    "identifiers": {"userId": "id", "email": "mail", "phone": "tel"},
    "records": [{"type": "identify", "traits": {"city": "city", "plan": {"column": "plan", "values": {"P": "pro"}}}}],
    "vault": {"first_name": "first", "email": "mail"},
}
LINES = """receipt,when,customer,article,pieces,price
r1,2025-03-01 09:00,17850,tea,2,2.55
r1,2025-03-01 09:01,17850,tea,2,2.55
r2,2025-07-01 09:00,17850,cup,1,"£1,234.50"
r1,2025-03-01 09:00,17850,pot,1,10
c3,2025-07-02 12:00,17850,cup,-1,1234.5
"""


def document(said: dict[str, Any], **changes: Any) -> SourceDocument:
    """The document, with some keys changed."""
    return msgspec.convert({**said, **changes}, SourceDocument)


def written(path: Path, content: str | bytes | list[dict[str, Any]]) -> Path:
    """A file of text, bytes, or JSON lines."""
    if isinstance(content, list):
        content = "".join(json.dumps(row) + "\n" for row in content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def imported(
    ledger: Ledger, path: Path, said: SourceDocument, *, name: str = "till", now_ms: int = NOW_MS
) -> ImportedSource:
    """Import a file, as the command would."""
    from edgewise.consent import Consent
    from hub.imports.events import Intake

    stated = StatedConsent.GRANTED if said.consent == "granted" else StatedConsent.SITE_DEFAULT
    intake = Intake(KEY, stated.default(Consent()), lambda _: None)
    folder = path.parent / "hub"
    return import_source(path, name, said, ledger, intake, data_dir=folder, clock=ManualClock(now_ms))
