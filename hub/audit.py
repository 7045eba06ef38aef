"""Who did what, and when: every deed of a person that changes what visitors may see.

Deeds that change the ledger are written down in the same transaction (`Ledger.set_release_status` and others take
an `AuditEntry`); this is for all the rest, and for the person's name.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from typing import Any

from edgewise.errors import InputError
from hub.ledger.ledger import Ledger
from hub.ledger.rows import AuditEntry


def person(by: str | None, environment: Mapping[str, str]) -> str:
    """Who acts: `--by NAME`, else the user that the shell or the system knows.

    Containers and schedulers often set no USER, so the account of the process speaks for them.

    Raises:
        InputError: nobody says.
    """
    name = (by or environment.get("USER") or environment.get("LOGNAME") or _account()).strip()
    if not name:
        raise InputError("nobody to write down as the one who did this; expected --by NAME")
    return name


def _account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def write_down(
    ledger: Ledger, who: str, what: str, subject: str, *, now_ms: int, detail: Mapping[str, Any] | None = None
) -> None:
    """Append one entry: `what` is a verb and its object (`model approve`), `subject` the thing's name (`ranker@3`)."""
    ledger.record(AuditEntry(who, what, subject, dict(detail or {})), now_ms)
