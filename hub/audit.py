"""Who did what, and when: every deed of a person that changes what visitors may see.

Deeds that change the ledger are written down in the same transaction (`Ledger.set_release_status` and others take
an `AuditEntry`); this is for all the rest, and for the person's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewise.errors import InputError
from hub.ledger.ledger import Ledger
from hub.ledger.rows import AuditEntry


def person(by: str | None, environment: Mapping[str, str]) -> str:
    """Who acts: `--by NAME`, else the user that the shell knows. Raises InputError when neither says."""
    name = (by or environment.get("USER") or environment.get("LOGNAME") or "").strip()
    if not name:
        raise InputError("nobody to write down as the one who did this; expected --by NAME")
    return name


def write_down(
    ledger: Ledger, who: str, what: str, subject: str, *, now_ms: int, detail: Mapping[str, Any] | None = None
) -> None:
    """Append one entry: `what` is a verb and its object (`model approve`), `subject` the thing's name (`ranker@3`)."""
    ledger.record(AuditEntry(who, what, subject, dict(detail or {})), now_ms)
