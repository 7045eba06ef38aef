"""A template's statements and the page around them: where each value stands, and that it may stand there.

The tree is read once, branch by branch, with the place in the page that each branch begins at (`markup`). Addresses are
put together on the way: the parts of one become a single expression that judges the whole, so that `java` and `script:`
do not pass one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import unescape
from typing import Final

from jinja2 import nodes

from edgewise.bundle.templates import ListVariable
from edgewise.templates.dialect import DATA, FREE, SIZED, Dialect
from edgewise.templates.expressions import (
    LOOP,
    Known,
    Scope,
    check_expression,
    check_written,
    entry_of,
    is_choice,
    is_number,
    work_of,
)
from edgewise.templates.filters import LINK, LINK_PART, LINK_START
from edgewise.templates.flaws import refuse_template
from edgewise.templates.markup import MarkupReader, Mode, Spot, check_literal_link

MOST_NESTED: Final = 12
MOST_LOOPS: Final = 2
"""Loops in each other."""
MOST_WORK: Final = 200_000
"""What one rendering may look at in all, written or not: a value counts one, and one a thousand characters that it may
have, in a loop as often as its list may have entries. A node is busy with it for some 50 ms at most."""


def check_page(template: nodes.Template, scope: Scope, dialect: Dialect | None) -> None:
    """Check a template, and make its addresses judge themselves. `dialect`: None for plain text.

    Raises TemplateRefused.
    """
    page = _Page(None if dialect is None else MarkupReader(dialect))
    end = page.body(template.body, Spot(), scope, 0)
    if end.open or end.mode is not Mode.TEXT:
        refuse_template(_last_line(template), f"<{end.element}> is not closed at the end; close it")


class _Page:
    def __init__(self, reader: MarkupReader | None) -> None:
        self._reader = reader
        self._loops = 0
        self._turns = 1
        """How often what stands here is gone through at most."""
        self._work = 0.0

    def body(self, body: list[nodes.Node], spot: Spot, scope: Scope, depth: int) -> Spot:
        """Go through statements from a spot in the page; the spot behind them."""
        if depth > MOST_NESTED:
            refuse_template(body[0].lineno, f"statements are nested deeper than {MOST_NESTED}; flatten them")
        for node in body:
            match node:
                case nodes.Output():
                    spot = self._output(node, spot, scope)
                case nodes.If():
                    spot = self._if(node, spot, scope, depth)
                case nodes.For():
                    spot = self._for(node, spot, scope, depth)
                case _:
                    said = _SAID.get(type(node), type(node).__name__.lower())
                    refuse_template(node.lineno or 1, f"{said} is not allowed in templates; `if` and `for` are")
        return spot

    # --- conditions and loops ----------------------------------------------------------------------------------------
    def _if(self, node: nodes.If, spot: Spot, scope: Scope, depth: int) -> Spot:
        self._not_in_link(node, spot)
        self._ask(node.test, scope)
        ends = [self.body(node.body, spot, scope, depth + 1)]
        for other in node.elif_:
            self._ask(other.test, scope)
            ends.append(self.body(other.body, spot, scope, depth + 1))
        ends.append(self.body(node.else_, spot, scope, depth + 1))
        return _joined(node, ends)

    def _for(self, node: nodes.For, spot: Spot, scope: Scope, depth: int) -> Spot:
        self._not_in_link(node, spot)
        listed = self._ask(node.iter, scope)
        if not isinstance(listed, ListVariable):
            refuse_template(node.lineno, "a loop goes over a variable that is declared as a list")
        if not isinstance(node.target, nodes.Name) or node.target.name in {*scope, "loop"}:
            refuse_template(
                node.lineno, "a loop names its entry by one name that is not used yet: {% for entry in list %}"
            )
        if node.recursive:
            refuse_template(node.lineno, "a recursive loop is not allowed; remove `recursive`")
        inner = {**scope, node.target.name: entry_of(listed), "loop": LOOP}
        outer_turns = self._turns
        self._turns *= listed.most
        self._count(node.lineno, 1)
        if node.test is not None:
            self._ask(node.test, inner)
        self._loops += 1
        if self._loops > MOST_LOOPS:
            refuse_template(node.lineno, f"more than {MOST_LOOPS} loops in each other; flatten them")
        again = self.body(node.body, spot, inner, depth + 1)
        self._loops -= 1
        self._turns = outer_turns
        # What a turn adds to a tag is there for the next turn.
        if again.attributes != spot.attributes:
            refuse_template(node.lineno, "a loop writes attributes; write the element in the loop")
        return _joined(node, [spot, again, self.body(node.else_, spot, scope, depth + 1)])

    def _not_in_link(self, node: nodes.Node, spot: Spot) -> None:
        if spot.is_link:
            message = f"a statement inside the address in {spot.attribute}; put it around the whole element"
            refuse_template(node.lineno, message)

    # --- what it costs -----------------------------------------------------------------------------------------------
    def _ask(self, expression: nodes.Node, scope: Scope) -> Known | None:
        """What an expression is, and count what it costs to find out."""
        known = check_expression(expression, scope)
        self._count(expression.lineno, work_of(expression, scope))
        return known

    def _count(self, line: int, work: float) -> None:
        self._work += work * self._turns
        if self._work > MOST_WORK:
            cure = "ask less in its loops, or lower `most` and `most_characters` of the variables"
            refuse_template(line, f"by here it may look at more than {MOST_WORK} values in one rendering; {cure}")

    # --- what is written ---------------------------------------------------------------------------------------------
    def _output(self, node: nodes.Output, spot: Spot, scope: Scope) -> Spot:
        made: list[nodes.Expr] = []
        link = _Link(made.append)
        for part in node.nodes:
            if isinstance(part, nodes.TemplateData):
                spot = self._literal(part, spot, link, made)
                continue
            known = self._ask(part, scope)
            check_written(part, known)
            if spot.is_link:
                link.value(part)
                continue
            self._check_place(part.lineno, spot, is_word=is_choice(known), is_digits=is_number(known))
            made.append(part)
        if spot.is_link:
            refuse_template(
                node.nodes[-1].lineno,
                f"the address in {spot.attribute} does not end before a statement; close its quote",
            )
        node.nodes = made
        return spot

    def _literal(self, part: nodes.TemplateData, spot: Spot, link: _Link, made: list[nodes.Expr]) -> Spot:
        if self._reader is None:
            made.append(part)
            return spot
        spot_before, line = spot, part.lineno
        spot, pieces = self._reader.read(spot, part.data, line)
        attribute = spot_before.attribute
        for piece in pieces:
            if piece.is_link:
                link.literal(piece.text, line)
            else:
                link.end(attribute, line)
                made.append(nodes.TemplateData(piece.text, lineno=line))
            line += piece.text.count("\n")
        if not spot.is_link:
            link.end(attribute, line)
        return spot

    def _check_place(self, line: int, spot: Spot, *, is_word: bool, is_digits: bool) -> None:
        if self._reader is None or spot.mode is Mode.TEXT:
            return
        name = spot.attribute
        if spot.mode is not Mode.VALUE:
            refuse_template(line, f"a value stands {spot.mode.value}; it can be in text or in a quoted attribute")
        is_free = name in FREE or name.startswith(DATA)
        if is_free or (name in SIZED and is_digits) or (name == "class" and is_word):
            return
        cures = {
            "class": "write the class out, or declare the variable as a choice",
            **dict.fromkeys(SIZED, "declare the variable as a number"),
        }
        refuse_template(
            line, f"a value is a part of the attribute {name}; {cures.get(name, 'write the attribute out')}"
        )


class _Link:
    """An address on its way: literal parts and values."""

    def __init__(self, put: Callable[[nodes.Expr], None]) -> None:
        self._put = put
        self._parts: list[nodes.Expr] = []
        self._literals: list[str] = []

    def literal(self, text: str, line: int) -> None:
        self._parts.append(nodes.Const(unescape(text), lineno=line))
        self._literals.append(text)

    def value(self, expression: nodes.Expr) -> None:
        name = LINK_PART if self._parts else LINK_START
        self._parts.append(_filtered(expression, name, []))

    def end(self, attribute: str, line: int) -> None:
        """The address is whole."""
        parts, literals = self._parts, self._literals
        if not parts:
            return
        self._parts, self._literals = [], []
        if len(parts) == len(literals):
            text = "".join(literals)
            check_literal_link(text, line)
            self._put(nodes.TemplateData(text, lineno=line))
        else:
            whole = nodes.Concat(parts, lineno=parts[0].lineno)
            self._put(_filtered(whole, LINK, [nodes.Const(attribute, lineno=line)]))


def _filtered(expression: nodes.Expr, name: str, arguments: list[nodes.Expr]) -> nodes.Expr:
    return nodes.Filter(expression, name, arguments, [], None, None, lineno=expression.lineno)


def _joined(node: nodes.Node, ends: Sequence[Spot]) -> Spot:
    made = ends[0]
    for end in ends[1:]:
        joined = made.joined(end)
        if joined is None:
            here = " or ".join(sorted({f"inside <{end.element}>" if end.open else "outside of all" for end in ends}))
            message = f"a branch leaves off elsewhere than another ({here}); open and close elements in the same branch"
            refuse_template(node.lineno, message)
        made = joined
    return made


def _last_line(template: nodes.Template) -> int:
    return max((node.lineno for node in template.find_all(nodes.Node)), default=1)


_SAID: Final[dict[type[nodes.Node], str]] = {
    nodes.Assign: "`set`",
    nodes.AssignBlock: "`set`",
    nodes.CallBlock: "`call`",
    nodes.Extends: "`extends`",
    nodes.FilterBlock: "a `filter` block",
    nodes.FromImport: "`import`",
    nodes.Import: "`import`",
    nodes.Include: "`include`",
    nodes.Macro: "`macro`",
    nodes.Scope: "`autoescape`",
    nodes.ScopedEvalContextModifier: "`autoescape`",
    nodes.With: "`with`",
}
