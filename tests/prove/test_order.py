"""Which scenarios run, and how hard."""

from __future__ import annotations

import ast
import importlib
import inspect

import msgspec
import pytest

from edgewise.errors import InputError
from hub.prove.order import QUICK, Order, sized
from hub.prove.scenario import SCENARIOS, Scenario, named


def test_what_is_asked_for_takes_the_place_of_the_usual_sizes() -> None:
    assert sized(quick=False, seed=None) == Order()
    assert sized(quick=True, kills=7, seed=None) == msgspec.structs.replace(QUICK, kills=7)


@pytest.mark.parametrize(("name", "value"), [("kills", 0), ("away_s", 0.0), ("workers", -1)])
def test_a_size_that_makes_no_sense_is_named(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"--{name.removesuffix('_s')}: ") as refused:
        sized(quick=False, **{name: value})
    assert refused.value.problems[0].path == f"--{name.removesuffix('_s')}"


def test_scenarios_run_in_their_own_order_and_all_of_them_for_none() -> None:
    assert named([]) == list(SCENARIOS)
    assert [each.name for each in named(["swaps", "kills"])] == ["kills", "swaps"]
    with pytest.raises(InputError, match="expected one of kills, swaps"):
        named(["kill"])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_scenario_has_a_module_and_tells_what_of_an_order_it_uses_and_nothing_else(scenario: Scenario) -> None:
    module = importlib.import_module(f"hub.prove.scenarios.{scenario.name.replace('-', '_')}")
    assert callable(module.run)
    read = {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "order"
    }
    told = scenario.parameters(Order())
    assert set(told) == read
    assert told.get("seed", 1) == 1
