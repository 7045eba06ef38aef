"""GrowthBook's own cases (`packages/sdk-js/test/cases.json`, specVersion 0.8.0), where they are."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from needs import lacking

VARIABLE: Final = "EDGEWISE_VECTORS"
ADOPTED: Final = {
    "hash": 15,
    "getBucketRange": 13,
    "chooseVariation": 13,
    "inNamespace": 16,
    "getEqualWeights": 6,
    "evalCondition": 248,
    "stickyBucket": 13,
}
"""Sections that we keep to -> how many cases each has. The others test a whole SDK, which we are none."""

Case = Sequence[Any]


def cases_of(section: str) -> list[Case]:
    """All cases of a section, from `$EDGEWISE_VECTORS`, else ../shared/vectors beside the repository."""
    found = _all().get(section, [])
    assert len(found) == ADOPTED[section], f"{section}: expected {ADOPTED[section]} cases, found {len(found)}"
    return found


@cache
def _all() -> dict[str, list[Case]]:
    beside = Path(__file__).parents[2] / "shared" / "vectors"
    path = Path(os.environ.get(VARIABLE, beside)) / "growthbook-cases.json"
    if not path.is_file():
        lacking(f"no {path}: set ${VARIABLE} to the folder of GrowthBook's cases")
    read: dict[str, list[Case]] = json.loads(path.read_text())
    return read
