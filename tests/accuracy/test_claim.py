"""What a claim says of itself."""

from __future__ import annotations

import math

import pytest

from accuracy.claim import Claim, Verdict


@pytest.mark.parametrize(
    ("value", "bounds", "verdict"),
    [
        (0.5, {}, Verdict.SHOWN),
        (None, {"at_least": 0.4}, Verdict.NOT_MEASURED),
        (0.5, {"at_least": 0.5}, Verdict.KEPT),
        (0.4999, {"at_least": 0.5}, Verdict.MISSED),
        (0.5, {"at_most": 0.4}, Verdict.MISSED),
        (0.36691, {"equals": 0.3669, "within": 5e-5}, Verdict.KEPT),
        (0.3671, {"equals": 0.3669, "within": 5e-5}, Verdict.MISSED),
        (math.nan, {"at_least": 0.0}, Verdict.MISSED),
    ],
)
def test_a_claim_keeps_all_its_bounds_or_fails(value: float | None, bounds: dict[str, float], verdict: Verdict) -> None:
    assert Claim(what="", value=value, protocol="", **bounds).verdict is verdict  # type: ignore[arg-type]
