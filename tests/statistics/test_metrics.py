"""Metrics as people write them, and which of them decides."""

from __future__ import annotations

import pytest

from edgewise.errors import InputError
from hub.statistics.compare import Kind
from hub.statistics.metrics import Role, is_attention, read_metrics, with_roles


@pytest.mark.parametrize(
    ("text", "column", "kind", "denominator"),
    [
        ("spend", "spend", Kind.MEAN, None),
        ("spend:mean", "spend", Kind.MEAN, None),
        ("bought:binary", "bought", Kind.BINARY, None),
        ("revenue:ratio:orders", "revenue", Kind.RATIO, "orders"),
        ("shop:revenue:ratio:shop:orders", "shop:revenue", Kind.RATIO, "shop:orders"),
        ("a:b", "a:b", Kind.MEAN, None),
    ],
)
def test_written(text: str, column: str, kind: Kind, denominator: str | None) -> None:
    (found,) = read_metrics([text])
    assert (found.name, found.column, found.kind, found.denominator) == (column, column, kind, denominator)


def test_one_column_under_two_kinds() -> None:
    assert [found.name for found in read_metrics(["revenue", "revenue:ratio:orders"])] == [
        "revenue",
        "revenue:ratio:orders",
    ]
    assert [(found.name, found.kind) for found in read_metrics(["revenue:ratio:orders", "revenue"])] == [
        ("revenue", Kind.RATIO),
        ("revenue:mean", Kind.MEAN),
    ]


@pytest.mark.parametrize("texts", [["spend:"], ["spend:ratio"], ["spend:ratio:"], [" "], ["spend", "spend"]])
def test_not_written(texts: list[str]) -> None:
    with pytest.raises(InputError):
        read_metrics(texts)


@pytest.mark.parametrize(
    "name", ["clicks", "banner_clicks", "ctr", "clicked", "pageViews", "email opens", "Click-Through"]
)
def test_attention(name: str) -> None:
    assert is_attention(name)


@pytest.mark.parametrize("name", ["revenue", "orders", "converted", "clickbait_refunds", "opening_balance", "reviews"])
def test_business(name: str) -> None:
    assert not is_attention(name)


def roles(texts: list[str], outcome: str | None = None, guardrails: dict[str, float] | None = None) -> dict[str, Role]:
    metrics = with_roles(read_metrics(texts), outcome=outcome, guardrails=guardrails or {}, lower=[], covariates={})
    return {metric.name: metric.role for metric in metrics}


def test_the_first_that_is_no_click_decides() -> None:
    assert roles(["clicks", "revenue", "orders"]) == {
        "clicks": Role.SECONDARY,
        "revenue": Role.OUTCOME,
        "orders": Role.SECONDARY,
    }
    assert roles(["latency", "revenue"], guardrails={"latency": 0.1})["revenue"] is Role.OUTCOME
    assert roles(["clicks"])["clicks"] is Role.OUTCOME
    assert roles(["orders", "revenue"], outcome="revenue")["orders"] is Role.SECONDARY


def test_names_that_are_no_metric() -> None:
    with pytest.raises(InputError, match="--outcome profit: no such metric, there are: revenue"):
        roles(["revenue"], outcome="profit")
    with pytest.raises(InputError, match="--guardrail errors"):
        roles(["revenue"], guardrails={"errors": 0.1})
    with pytest.raises(InputError, match="cannot guard itself"):
        roles(["revenue"], outcome="revenue", guardrails={"revenue": 0.1})
    with pytest.raises(InputError, match="every metric is a guardrail"):
        roles(["revenue"], guardrails={"revenue": 0.1})


def test_covariates_and_directions() -> None:
    first, second = with_roles(
        read_metrics(["spend", "orders:ratio:visits"]),
        outcome=None,
        guardrails={},
        lower=["spend"],
        covariates={"": "before", "orders": "orders_before/visits_before"},
    )
    assert (first.covariate, first.covariate_denominator, first.higher_is_better) == ("before", None, False)
    assert (second.covariate, second.covariate_denominator) == ("orders_before", "visits_before")
    assert second.columns == ("orders", "visits", "orders_before", "visits_before")
