"""GrowthBook's targeting conditions: a MongoDB-like tree over the attributes of a visitor and a page.

    {"country": {"$in": ["DE", "AT"]}, "$not": {"device.type": "mobile"}}

All entries of an object must hold; `$and`, `$or`, `$nor` and `$not` combine, and a key with dots walks into objects.
The published cases of GrowthBook's specification hold to the letter (its "Build your own" page, `evalCondition`, and
cases.json 0.8.0). Where these are silent its JavaScript decides, with one exception: what is missing equals only null,
and no 0, "null" or false, which JavaScript's coercions would make of it. In comparisons of size it counts as 0.

Nothing raises: what cannot be compared, an unknown operator and a pattern that is none are false.
`edgewise.admission.check_conditions` refuses these where they are written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from edgewise.attributes import whole

Groups = Mapping[str, Sequence[Any]]
"""Saved groups: an id -> its members."""

NO_GROUPS: Final[Groups] = {}
MOST_MATCHED: Final = 128
"""Characters of a text that a pattern is searched in: a page may send 2,000, and Python's search has no time limit."""
JOINING: Final = ("$and", "$or", "$nor", "$not")
_VERSION_PARTS: Final = 3
_VERSION_DIGITS: Final = 5


def holds(condition: Any, attributes: Mapping[str, Any], groups: Groups = NO_GROUPS) -> bool:
    """Whether a condition is true of these attributes; an empty one is."""
    return isinstance(condition, Mapping) and all(
        _joined(key, wanted, attributes, groups)
        if key in JOINING
        else _value_holds(wanted, at_path(attributes, key), groups)
        for key, wanted in condition.items()
    )


def _joined(key: str, wanted: Any, attributes: Mapping[str, Any], groups: Groups) -> bool:
    if key == "$not":
        return not holds(wanted, attributes, groups)
    if not isinstance(wanted, (list, tuple)):
        return False
    told = (holds(part, attributes, groups) for part in wanted)
    if key == "$and":
        return all(told)
    return (not wanted or any(told)) is (key == "$or")


def at_path(attributes: Mapping[str, Any], path: str) -> Any:
    """The value behind a path of names with dots; None where there is none."""
    value: Any = attributes
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def is_of_operators(wanted: Any) -> bool:
    """Whether an object is made of operators, and not one that must be equalled."""
    return isinstance(wanted, Mapping) and bool(wanted) and all(key.startswith("$") for key in wanted)


def _value_holds(wanted: Any, value: Any, groups: Groups, *, folded: bool = False) -> bool:
    """Whether a value is as wanted; `folded`: upper and lower case are the same."""
    if is_of_operators(wanted):
        return all(_operator_holds(name, value, operand, groups) for name, operand in wanted.items())
    if wanted is None or value is None:
        return wanted is value
    if isinstance(wanted, str):
        text = _text(value)
        return text is not None and _same(_folded(text), _folded(wanted)) if folded else text == wanted
    if isinstance(wanted, bool):
        return bool(value) is wanted
    if isinstance(wanted, (int, float)):
        return _number(value) == wanted
    return _same(wanted, value)


def _operator_holds(name: str, value: Any, operand: Any, groups: Groups) -> bool:  # noqa: PLR0911  # one a kind
    if name in _ORDER:
        return _is_ordered(name, value, operand)
    if name in _VERSION_ORDER:
        return bool(_VERSION_ORDER[name](padded_version(value), padded_version(operand)))
    match name:
        case "$eq" | "$ne":
            return _same(value, operand) is (name == "$eq")
        case "$exists":
            return (value is not None) is bool(operand)
        case "$in" | "$nin" | "$ini" | "$nini":
            is_wanted = name in {"$in", "$ini"}
            return isinstance(operand, (list, tuple)) and _is_in(value, operand, folded=name[-1] == "i") is is_wanted
        case "$inGroup" | "$notInGroup":
            members = groups.get(operand, ()) if isinstance(operand, str) else ()
            return _is_in(value, members) is (name == "$inGroup")
        case "$not":
            return not _value_holds(operand, value, groups)
        case "$regex" | "$regexi":
            return _matches(operand, value, re.IGNORECASE if name == "$regexi" else 0)
        case "$type":
            return bool(_type_of(value) == operand)
        case _:
            return isinstance(value, (list, tuple)) and _list_holds(name, value, operand, groups)


def _list_holds(name: str, values: Sequence[Any], operand: Any, groups: Groups) -> bool:
    match name:
        case "$size":
            return _value_holds(operand, len(values), groups)
        case "$elemMatch" if is_of_operators(operand):
            return any(_value_holds(operand, value, groups) for value in values)
        case "$elemMatch":
            return any(isinstance(value, Mapping) and holds(operand, value, groups) for value in values)
        case "$all" | "$alli":
            folded = name == "$alli"
            return isinstance(operand, (list, tuple)) and all(
                any(_value_holds(wanted, value, groups, folded=folded) for value in values) for wanted in operand
            )
        case _:
            return False


# --- values ---------------------------------------------------------------------------------------------------------
def _same(left: Any, right: Any) -> bool:
    """Equal in kind and value: true is not 1, and text is no number."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(value, right[key]) for key, value in left.items())
    return type(left) is type(right) and bool(left == right)


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _is_in(value: Any, members: Sequence[Any], *, folded: bool = False) -> bool:
    """Whether a value, or some value of a list, is among the members."""
    values = value if isinstance(value, (list, tuple)) else (value,)
    if folded:
        values, members = [_folded(part) for part in values], [_folded(member) for member in members]
    return any(_same(part, member) for part in values for member in members)


def _text(value: Any) -> str | None:
    """As JavaScript writes it; None for what is no text, number or truth."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(whole(value)) if isinstance(value, (int, float)) else None


def _number(value: Any) -> float:
    """As JavaScript reads it; NaN for what is none."""
    if value is None:
        return 0.0
    if isinstance(value, (bool, int, float)):
        return value
    if not isinstance(value, str) or "_" in value:  # Python reads 1_000
        return math.nan
    try:
        return float(value) if value.strip() else 0.0
    except ValueError:
        return math.nan


_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "$lt": lambda left, right: left < right,
    "$lte": lambda left, right: left <= right,
    "$gt": lambda left, right: left > right,
    "$gte": lambda left, right: left >= right,
}
_VERSION_ORDER: Final[dict[str, Callable[[str, str], bool]]] = {
    "$veq": lambda left, right: left == right,
    "$vne": lambda left, right: left != right,
    **{f"$v{name[1:]}": compare for name, compare in _ORDER.items()},
}
OPERATORS: Final = (
    *("$eq", "$ne", *_ORDER, "$in", "$nin", "$ini", "$nini", "$exists", "$not", "$regex", "$regexi", "$type"),
    *("$size", "$elemMatch", "$all", "$alli", *_VERSION_ORDER, "$inGroup", "$notInGroup"),
)


def _is_ordered(name: str, value: Any, operand: Any) -> bool:
    """Two texts by their characters, all else by number."""
    if isinstance(value, str) and isinstance(operand, str):
        return _ORDER[name](value, operand)
    return _ORDER[name](_number(value), _number(operand))


def _matches(pattern: Any, value: Any, flags: int) -> bool:
    text = _text(value)
    if text is None or not isinstance(pattern, str):
        return False
    try:
        return re.search(pattern, text[:MOST_MATCHED], flags) is not None
    except (re.error, OverflowError, RecursionError):
        return False


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, (list, tuple)) else "object"


def padded_version(value: Any) -> str:
    """A version as text that sorts like versions do: numbers padded, a release behind its own pre-releases.

    Without the leading `v` and what comes behind `+`. What is no text or number is version 0.
    """
    text = (_text(value) or "0") if not isinstance(value, bool) else "0"
    parts = re.split(r"[-.]", re.sub(r"^v|\+.*$", "", text))
    if len(parts) == _VERSION_PARTS:
        parts.append("~")
    return "-".join(part.rjust(_VERSION_DIGITS) if re.fullmatch(r"[0-9]+", part) else part for part in parts)
