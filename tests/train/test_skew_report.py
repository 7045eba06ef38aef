"""`hub.train.skew_report`: what a person is told of a comparison."""

from __future__ import annotations

from edgewise.ids import DecisionId, ItemId, PlacementName
from hub.train.skew import Example, FeatureSkew, Skew
from hub.train.skew_report import left_out, skew_page, verdict


def skew(*features: FeatureSkew, **told: object) -> Skew:
    unequal = sum(feature.unequal for feature in features)
    found = {"decisions": 3, "rows": 30, "unequal": unequal, "left_out": {}, "examples": [], **told}
    return Skew(features=list(features), **found)  # type: ignore[arg-type]


def test_a_page_tells_what_differs_and_what_was_not_compared() -> None:
    example = Example(DecisionId("d"), PlacementName("<list>"), ItemId("tea"), "hour", 3.0, None)
    found = skew(
        FeatureSkew("hour", 30, 1, 2, 3, 11.0),
        FeatureSkew("genre", 30, 0, 0, 0, 0.0),
        left_out={"no-profile": 4, "a new reason": 1},
        examples=[example],
        first_ms=0,
        last_ms=86_400_000,
    )
    html = skew_page(found, "ranker")
    for text in ("6 cells", "hour", "none", "&lt;list&gt;", "1970-01-02", "4 decisions left out"):
        assert text in html
    assert left_out(found)[1] == "1 decisions left out: a new reason"
    assert "class=warning" in html


def test_a_verdict_is_one_sentence() -> None:
    assert verdict(skew(FeatureSkew("hour", 30, 0, 0, 0, 0.0))).startswith("No skew: 30 rows of 3 decisions")
    assert verdict(skew(FeatureSkew("hour", 30, 0, 1, 0, 0.0))).endswith("not what the hub computes: hour.")
    assert "nothing is known" in verdict(skew(decisions=0, rows=0))
