"""Every place beside the ledger where people may be kept. Whoever keeps people somewhere new adds a line here.

`tests/hub/rights/test_stores.py` holds the data folder of a used hub against this list: a folder that is neither here
nor known to hold nobody fails it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hub.rights.decision_files import DecisionFiles
from hub.rights.leftovers import Leftovers
from hub.rights.reject_files import RejectFiles
from hub.rights.store import Store

IMPERSONAL: Final = frozenset(
    {
        "candidates",  # releases before they are signed: items, rules, models
        "certificates",  # of erasures: keyed hashes
        "datasets",  # public data
        "keys",
        "models",  # weights and thresholds
        "policies",  # of Open Bandit
        "repository",  # signed releases and live facts
    }
)
"""Folders of a hub's data that hold no record of anybody."""

EMPTIED: Final = frozenset({"decisions", "events", "lake", "sources"})
"""Folders that the stores below empty, or the ledger itself (`lake`)."""


def stores(data_dir: Path, *, now_ms: int) -> Sequence[Store]:
    """In the order in which they are emptied."""
    return (RejectFiles(data_dir), DecisionFiles(data_dir), Leftovers(data_dir, now_ms=now_ms))
