"""Whether an edge can evaluate a condition (`edgewise.conditions`), and in time: for where it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from edgewise.conditions import JOINING, OPERATORS, is_of_operators
from edgewise.targeting import OWN, TRAITS, is_attribute

MOST_DEPTH: Final = 32
MOST_PATTERN: Final = 200
"""Characters of a pattern."""
MOST_REPEATS: Final = 2
"""Open-ended repeats of a pattern. Over 128 characters two cost 2.4 ms at worst, three 80 (measured)."""
_FEW: Final = 16
"""A repeat of at most so many is not open-ended."""
MOST_WAYS: Final = 256
"""Combinations of what may be there or not, short repeats and alternatives; a quarter for each open-ended repeat."""
_ENDLESS: Final = 1 << 32
_TYPES: Final = ("string", "number", "boolean", "array", "object", "null")
_LISTS: Final = frozenset({"$in", "$nin", "$ini", "$nini", "$all", "$alli"})
_VERSIONS: Final = frozenset(name for name in OPERATORS if name.startswith("$v"))
_GROUPS: Final = frozenset({"$inGroup", "$notInGroup"})
_PATTERNS: Final = frozenset({"$regex", "$regexi"})


class WrongCondition(NamedTuple):
    """One thing that is wrong with a condition, and where in it."""

    path: tuple[str | int, ...]
    message: str


def wrong_with_condition(
    condition: Any, path: tuple[str | int, ...] = (), *, is_of_item: bool = False, depth: int = MOST_DEPTH
) -> Iterator[WrongCondition]:
    """Everything that is wrong with it. `is_of_item`: it is about the members of a list, whose names are free."""
    if not isinstance(condition, Mapping):
        yield WrongCondition(path, f"expected a condition, got {_told(condition)}; write `attribute: value`")
        return
    if depth <= 0:
        yield WrongCondition(path, f"conditions nest deeper than {MOST_DEPTH}")
        return
    for key, wanted in condition.items():
        here = (*path, key)
        if key == "$not":
            yield from wrong_with_condition(wanted, here, is_of_item=is_of_item, depth=depth - 1)
        elif key in JOINING:
            if not isinstance(wanted, list):
                yield WrongCondition(here, f"expected a list of conditions, got {_told(wanted)}; write one in brackets")
                continue
            for position, part in enumerate(wanted):
                yield from wrong_with_condition(part, (*here, position), is_of_item=is_of_item, depth=depth - 1)
        elif not isinstance(key, str) or key.startswith("$"):
            yield WrongCondition(here, f"no operator {key!r} between attributes; there are {', '.join(JOINING)}")
        elif not is_of_item and not is_attribute(key):
            own = ", ".join(sorted(OWN - {TRAITS}))
            yield WrongCondition(here, f"no attribute {key!r}; of {own} and traits.NAME there is only what pages tell")
        else:
            yield from _wrong_value(wanted, here, depth - 1)


def _wrong_value(wanted: Any, path: tuple[str | int, ...], depth: int) -> Iterator[WrongCondition]:
    if is_of_operators(wanted):
        for name, operand in wanted.items():
            yield from _wrong_operator(name, operand, (*path, name), depth)
    elif isinstance(wanted, Mapping) and any(isinstance(key, str) and key.startswith("$") for key in wanted):
        yield WrongCondition(path, "operators and names in one object, which is neither; take them apart")
    else:
        yield from _wrong_plain(wanted, path, depth)


def _wrong_operator(name: str, operand: Any, path: tuple[str | int, ...], depth: int) -> Iterator[WrongCondition]:
    wrong = _wrong_operand(name, operand)
    if depth <= 0:
        yield WrongCondition(path, f"conditions nest deeper than {MOST_DEPTH}")
    elif wrong is not None:
        yield WrongCondition(path, wrong)
    elif name in _LISTS:
        for position, each in enumerate(operand):
            yield from _wrong_value(each, (*path, position), depth - 1)
    elif name == "$elemMatch" and not is_of_operators(operand):
        yield from wrong_with_condition(operand, path, is_of_item=True, depth=depth - 1)
    elif name in {"$not", "$size", "$elemMatch"}:
        yield from _wrong_value(operand, path, depth - 1)
    else:
        yield from _wrong_plain(operand, path, depth)


def _wrong_operand(name: str, operand: Any) -> str | None:
    """Why an operator cannot take this; None where it can."""
    if name not in OPERATORS:
        return f"no operator {name!r}; there are {', '.join(OPERATORS)}"
    if name in _GROUPS:
        return "a release holds no saved groups; list the members with $in"
    if name in _PATTERNS:
        return wrong_with_pattern(operand)
    fits, expected = True, ""
    if name in _LISTS:
        fits, expected = isinstance(operand, list), "a list; put it in brackets"
    elif name in _VERSIONS:
        fits, expected = isinstance(operand, str), "a version as text; put it in quotes"
    elif name == "$type":
        fits, expected = operand in _TYPES, f"one of {', '.join(_TYPES)}"
    elif name == "$exists":
        fits, expected = isinstance(operand, bool), "true or false"
    return None if fits else f"{name} got {_told(operand)}, and takes {expected}"


def _wrong_plain(wanted: Any, path: tuple[str | int, ...], depth: int) -> Iterator[WrongCondition]:
    if depth <= 0:
        yield WrongCondition(path, f"conditions nest deeper than {MOST_DEPTH}")
    elif isinstance(wanted, Mapping):
        for key, part in wanted.items():
            yield from _wrong_plain(part, (*path, key), depth - 1)
    elif isinstance(wanted, list):
        for position, part in enumerate(wanted):
            yield from _wrong_plain(part, (*path, position), depth - 1)
    elif wanted is not None and not isinstance(wanted, (str, int, float)):
        yield WrongCondition(path, f"{wanted} is a {type(wanted).__name__}, which no page sends; put it in quotes")


def wrong_with_pattern(pattern: Any) -> str | None:  # noqa: PLR0911  # one a flaw
    """Why a pattern is refused; None where it is not.

    Python's search goes back and tries again without any limit of time. It is bounded by what is refused: a repeat
    within a repeat or over alternatives, which may cost 2^n steps, more than two open-ended repeats, n^3, and short
    repeats, options and alternatives that multiply to more than `MOST_WAYS`.
    """
    if not isinstance(pattern, str):
        return f"a pattern is text, not {_told(pattern)}"
    if len(pattern) > MOST_PATTERN:
        return f"a pattern of {len(pattern)} characters; at most {MOST_PATTERN}"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as wrong:
        return f"{pattern!r} is no pattern: {wrong}"
    found = _effort_of(pattern)
    if found.is_verbose:
        return f"{pattern!r} is verbose, which nobody can check for its time; write it without spaces and (?x)"
    if found.is_nested:
        return (
            f"{pattern!r} repeats what repeats or has alternatives itself, which may take for ever; list them with $in"
        )
    if found.repeats > MOST_REPEATS:
        return f"{pattern!r} has {found.repeats} open-ended repeats, at most {MOST_REPEATS}; take it apart with $and"
    if found.ways > MOST_WAYS >> (2 * found.repeats):
        return f"{pattern!r} can match in too many ways, which may take for ever; take it apart with $and or $or"
    return None


_TOKEN: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?:#[^)]*|P=\w+|(?P<flags>[aiLmsux]+))\)"
    r"|(?P<open>\((?:\?(?:P?<\w+>|<?[=!]|[:>]|(?P<scoped>[aiLmsux]*(?:-[imsx]+)?):|\(\w+\)))?)|(?P<close>\))|(?P<either>\|)"
    r"|(?P<repeat>[*+?]|\{\d*(?:,\d*)?\})[?+]?|.",
    re.DOTALL,
)


class _Effort(NamedTuple):
    """What a search may have to try."""

    repeats: int
    """Open-ended ones."""
    ways: int
    """Combinations of everything else: what may be there or not, short repeats, alternatives."""
    is_nested: bool
    """Whether a repeat holds another, or something with several ways."""
    is_verbose: bool


class _Group:
    """An open group: the ways of its alternatives, and of its parts so far."""

    def __init__(self) -> None:
        self.before = 0
        self.ways = 1
        self.last = 1
        """Of the part that a repeat would be about."""
        self.last_repeats = self.repeats = False

    def part(self, ways: int = 1, *, repeats: bool = False) -> None:
        """One more part."""
        self.ways *= self.last
        self.last, self.last_repeats = ways, repeats
        self.repeats = self.repeats or repeats

    def turn(self) -> None:
        """The next alternative."""
        self.part()
        self.before, self.ways = self.before + self.ways, 1


def _effort_of(pattern: str) -> _Effort:
    repeats, is_nested, is_verbose = 0, False, False
    groups = [_Group()]
    for token in _TOKEN.finditer(pattern):
        group = groups[-1]
        is_verbose = is_verbose or "x" in f"{token['flags'] or ''}{(token['scoped'] or '').partition('-')[0]}"
        if token["open"]:
            groups.append(_Group())
        elif token["close"] and len(groups) > 1:
            groups.pop().turn()
            groups[-1].part(min(group.before, _ENDLESS), repeats=group.repeats)
        elif token["either"]:
            group.turn()
        elif token["repeat"]:
            least, most = _times(token["repeat"])
            if most > _FEW:
                repeats += 1
                is_nested = is_nested or group.last > 1 or group.last_repeats
                group.last, group.last_repeats, group.repeats = 1, True, True
            else:
                is_nested = is_nested or (group.last_repeats and most > 1)
                group.last = min(sum(group.last**times for times in range(least, most + 1)), _ENDLESS)
        else:
            group.part()
    groups[0].turn()
    return _Effort(repeats, groups[0].before, is_nested, is_verbose)


def _times(repeat: str) -> tuple[int, int]:
    """How often at least and at most; more than `_FEW` where it is open-ended."""
    if repeat in "*+?":
        return int(repeat == "+"), 1 if repeat == "?" else _FEW + 1
    least, comma, most = repeat[1:-1].partition(",")
    if comma and not most:
        return int(least or 0), _FEW + 1
    return int(least or 0), int(most or least or 0)


def _told(value: Any) -> str:
    return f"{value!r}" if len(repr(value)) <= 40 else type(value).__name__  # noqa: PLR2004  # a few words
