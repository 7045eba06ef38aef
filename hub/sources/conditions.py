"""`where`: which rows a rule is for. Declared, never evaluated as code."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from hub.sources.document import Condition, Scalar
from hub.sources.paths import Getter, Row

Test = Callable[[Any], bool]


def holds(conditions: Sequence[Condition], get: Callable[[str], Getter]) -> Callable[[Row], bool]:
    """Whether all of them hold of a row."""
    tests = [(get(condition.column), _tests(condition)) for condition in conditions]

    def all_hold(row: Row) -> bool:
        for read, some in tests:
            value = read(row)
            for test in some:
                if not test(value):
                    return False
        return True

    return all_hold


def _tests(said: Condition) -> list[Test]:
    tests: list[Test] = []
    if said.equals is not None:
        wanted = _texts(said.equals)
        tests.append(lambda value: _text(value) in wanted)
    if said.differs is not None:
        refused = _texts(said.differs)
        tests.append(lambda value: _text(value) not in refused)
    if said.starts is not None:
        start = said.starts
        tests.append(lambda value: _text(value).startswith(start))
    if said.contains is not None:
        part = said.contains
        tests.append(lambda value: part in _text(value))
    if said.filled is not None:
        is_filled = said.filled
        tests.append(lambda value: bool(_text(value)) == is_filled)
    for bound, test in (
        (said.above, lambda number, bound: number > bound),
        (said.at_least, lambda number, bound: number >= bound),
        (said.below, lambda number, bound: number < bound),
        (said.at_most, lambda number, bound: number <= bound),
    ):
        if bound is not None:
            tests.append(_comparison(test, bound))
    return tests


def _comparison(test: Callable[[float, float], bool], bound: float) -> Test:
    """What is no number is neither above nor below anything."""

    def compare(value: Any) -> bool:
        number = _number(value)
        return number is not None and test(number, bound)

    return compare


def _number(value: Any) -> float | None:
    if type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        number = float(Decimal(value.strip()) if isinstance(value, str) else value)
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _texts(said: Scalar | list[Scalar]) -> frozenset[str]:
    return frozenset(map(_text, said if isinstance(said, list) else [said]))


def _text(value: Any) -> str:
    """As a CSV would have it, so that `is: 1` means the same in every format."""
    if value is None or value != value:  # noqa: PLR0124  # NaN alone differs from itself
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
