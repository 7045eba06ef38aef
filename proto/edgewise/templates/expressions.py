"""What a template may ask: values that are declared, compared, put together and written by a few filters.

There is no call, no arithmetic, no assignment and no attribute of any object: `a.b` reads entry `b` of a value whose
declaration has one. So nothing of Python can be reached, and no expression makes more of a value than there is in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, NoReturn

from jinja2 import nodes

from edgewise.bundle.templates import (
    ChoiceVariable,
    ImageVariable,
    ListVariable,
    NumberVariable,
    TextVariable,
    UrlVariable,
    Variable,
)
from edgewise.templates.filters import FILTERS, TESTS
from edgewise.templates.flaws import meant, refuse_template

MOST_DEPTH: Final = 12
"""Of expressions in expressions."""
_CHARACTERS: Final = 1_000
"""To go through so many costs as much as to look at a value."""
TEXT: Final = TextVariable()
NUMBER: Final = NumberVariable()


class Entry(NamedTuple):
    """An entry of a list of entries, in a loop over it."""

    of: Mapping[str, Variable]


LOOP: Final = Entry(dict.fromkeys(("index", "index0", "revindex", "length", "first", "last"), NUMBER))
"""What a loop says of itself."""
_IMAGE: Final = Entry({"src": UrlVariable(), "alt": TEXT, "width": NUMBER, "height": NUMBER})

Known = Variable | Entry
Scope = Mapping[str, Known]


def check_expression(expression: nodes.Node, scope: Scope, depth: int = 0) -> Known | None:
    """What an expression is, as far as that is declared; None for what is computed. Raises TemplateRefused."""
    if depth > MOST_DEPTH:
        _refuse(expression, f"an expression is nested deeper than {MOST_DEPTH}; write it in parts")
    match expression:
        case nodes.Name():
            return _named(expression, scope)
        case nodes.Getattr():
            return _entry(expression, expression.attr, scope, depth)
        case nodes.Getitem():
            return _item(expression, scope, depth)
        case nodes.Const():
            return TEXT if isinstance(expression.value, str) else NUMBER
        case _:
            _check_computed(expression)
    for part in _parts(expression):
        _check_use(expression, part, check_expression(part, scope, depth + 1))
    return None


def _check_computed(expression: nodes.Node) -> None:
    match expression:
        case nodes.Filter():
            _check_filter(expression)
        case nodes.Test():
            _check_test(expression)
        case nodes.CondExpr():
            if expression.expr2 is None:
                _refuse(expression, "an `if` in an expression has no `else`; say what stands there otherwise")
        case nodes.And() | nodes.Or() | nodes.Not() | nodes.Compare() | nodes.Concat():
            pass
        case _:
            cure = _CURES.get(type(expression), "")
            _refuse(expression, f"{_described(expression)} is not allowed in templates; {cure}")


def _parts(expression: nodes.Node) -> Iterator[nodes.Expr]:
    for part in expression.iter_child_nodes():
        inner = part.expr if isinstance(part, nodes.Operand) else part
        assert isinstance(inner, nodes.Expr)
        yield inner


def work_of(expression: nodes.Node, scope: Scope) -> float:
    """What it costs to work out a checked expression: its parts, each as long as the longest text that it may hold."""
    parts = [expression, *expression.find_all(nodes.Expr)]
    longest = max((_most_characters(scope.get(part.name)) for part in parts if isinstance(part, nodes.Name)), default=0)
    return len(parts) * (1 + longest / _CHARACTERS)


def _most_characters(known: Known | None) -> int:
    match known:
        case TextVariable(most_characters=most):
            return most
        case ListVariable(of=of, most=entries, most_characters=most):
            return 0 if of else entries * most
        case Entry(of=of):
            return max(map(_most_characters, of.values()), default=0)
        case _:
            return 0


def is_plain(known: Known | None) -> bool:
    """Whether it can be written out as it is."""
    return not isinstance(known, (ImageVariable, ListVariable, Entry))


def check_written(expression: nodes.Expr, known: Known | None) -> None:
    """Whether a value may be written out. Raises TemplateRefused."""
    if isinstance(known, ImageVariable):
        _refuse(expression, "a picture cannot be written; write its .src, .alt, .width or .height")
    if not is_plain(known):
        _refuse(expression, "a list cannot be written; write its entries with {% for … in … %}, or use `| join(', ')`")


def is_choice(known: Known | None) -> bool:
    """Whether it is one of some words that the template's author wrote."""
    return isinstance(known, ChoiceVariable)


def is_number(known: Known | None) -> bool:
    """Whether it is a number."""
    return isinstance(known, NumberVariable)


def _named(name: nodes.Name, scope: Scope) -> Known:
    known = scope.get(name.name)
    if known is None:
        _refuse(name, f"no variable {name.name!r} is declared; {meant(name.name, scope)}")
    return known


def _entry(expression: nodes.Getattr, attribute: str, scope: Scope, depth: int) -> Known:
    base = check_expression(expression.node, scope, depth + 1)
    entries = _IMAGE.of if isinstance(base, ImageVariable) else base.of if isinstance(base, Entry) else {}
    known = entries.get(attribute)
    if known is None:
        cure = meant(attribute, entries) if entries else "only pictures and entries of lists have parts"
        _refuse(expression, f"there is no .{attribute} here; {cure}")
    return known


def _item(expression: nodes.Getitem, scope: Scope, depth: int) -> Known:
    base = check_expression(expression.node, scope, depth + 1)
    if not isinstance(expression.arg, nodes.Const) or not isinstance(expression.arg.value, int):
        _refuse(expression, "[…] takes the number of an entry of a list; write NAME.PART for a part")
    if not isinstance(base, ListVariable):
        _refuse(expression, "only lists have entries with a number")
    return entry_of(base)


def entry_of(listed: ListVariable) -> Known:
    """What a list holds."""
    return Entry(listed.of) if listed.of else TextVariable(most_characters=listed.most_characters)


def _check_filter(expression: nodes.Filter) -> None:
    if expression.name not in FILTERS:
        _refuse(expression, f"there is no filter {expression.name!r}; {meant(expression.name, FILTERS)}")
    if expression.node is None:
        _refuse(expression, "a filter block is not allowed; use the filter on a value")
    if expression.kwargs or expression.dyn_args is not None or expression.dyn_kwargs is not None:
        _refuse(expression, f"the filter {expression.name} takes its arguments without names")
    least, most = FILTERS[expression.name].arguments
    if not least <= len(expression.args) <= most:
        _refuse(expression, f"the filter {expression.name} takes {_counted(least, most)}, not {len(expression.args)}")


def _check_test(expression: nodes.Test) -> None:
    if expression.name not in TESTS:
        _refuse(expression, f"there is no test {expression.name!r}; {meant(expression.name, TESTS)}")
    if expression.args or expression.kwargs or expression.dyn_args or expression.dyn_kwargs:
        _refuse(expression, f"the test {expression.name} takes no arguments")


def _check_use(user: nodes.Node, part: nodes.Expr, known: Known | None) -> None:
    """Where a picture or a list may be a part of an expression: in conditions and where a filter counts or joins it."""
    is_condition = isinstance(user, (nodes.And, nodes.Or, nodes.Not, nodes.Test, nodes.CondExpr))
    is_looked_up = isinstance(user, nodes.Compare) and isinstance(known, ListVariable) and not known.of
    if is_plain(known) or is_condition or is_looked_up:
        return
    if isinstance(user, nodes.Filter) and user.node is part and FILTERS[user.name].takes_lists:
        if isinstance(known, ListVariable) and (not known.of or user.name == "length"):
            return
        _refuse(part, f"the filter {user.name} takes a list of texts")
    check_written(part, known)


_NAMES: Final[dict[type[nodes.Node], str]] = {
    nodes.Call: "a call",
    nodes.Slice: "a slice",
    nodes.List: "a list",
    nodes.Tuple: "a tuple",
    nodes.Dict: "a dictionary",
    nodes.TemplateData: "literal markup",
}
_CURES: Final[dict[type[nodes.Node], str]] = {
    nodes.Call: "declare the value as a variable, or use a filter",
    nodes.Tuple: "compare with `==` and `or`",
    nodes.List: "compare with `==` and `or`",
}


def _described(expression: nodes.Node) -> str:
    return _NAMES.get(type(expression), f"the operation {type(expression).__name__}")


def _counted(least: int, most: int) -> str:
    said = str(least) if least == most else f"{least} to {most}"
    return f"{said} argument{'' if most == 1 else 's'}"


def _refuse(where: nodes.Node, message: str) -> NoReturn:
    refuse_template(where.lineno, message.removesuffix("; "))
