"""`where`: the same condition means the same in CSV, JSON and Parquet."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from hub.sources.conditions import holds
from hub.sources.document import Condition
from hub.sources.paths import getter


def asked(value: Any, **said: Any) -> bool:
    return holds([msgspec.convert({"column": "x", **said}, Condition)], getter)({"x": value})


@pytest.mark.parametrize(
    ("said", "yes", "no"),
    [
        ({"is": 1}, ["1", 1, 1.0, Decimal(1), " 1 "], ["2", 2, True, None, "1.5"]),
        ({"is": True}, [True, "true"], [1, False, None]),
        ({"is": ["open", "click"]}, ["open", "click"], ["Open", "", None]),
        ({"not": "test"}, ["live", "", None], ["test"]),
        ({"starts": "C"}, ["C536379"], ["536379", 5, None]),
        ({"contains": "@"}, ["a@b"], ["a", None]),
        ({"filled": True}, ["x", 0, False], ["", None, float("nan")]),
        ({"filled": False}, ["", None, " "], ["x", 0]),
        ({"above": 0}, ["1", 0.1, Decimal("0.1")], ["0", -1, "", None, "many", True, float("inf"), float("nan")]),
        ({"at_least": 0, "below": 2}, ["0", 1], ["2", -1, "x"]),
        ({"at_most": -1}, ["-1", -2], ["0", None]),
    ],
    ids=repr,
)
def test_a_condition_means_the_same_in_every_format(said: dict[str, Any], yes: list[Any], no: list[Any]) -> None:
    assert [value for value in yes if not asked(value, **said)] == []
    assert [value for value in no if asked(value, **said)] == []


def test_all_conditions_must_hold() -> None:
    both = [Condition(column="a", filled=True), Condition(column="b.c", above=1)]
    test = holds(both, getter)
    assert test({"a": "x", "b": {"c": 2}})
    assert not test({"a": "", "b": {"c": 2}})
    assert not test({"a": "x", "b": {"c": 1}})
    assert holds([], getter)({})
