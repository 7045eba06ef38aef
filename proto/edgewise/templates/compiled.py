"""A template's source into something that writes: checked, compiled in a sandbox, bounded when it runs.

The check is the wall (`pages`, `expressions`): what it lets through asks for declared values and nothing else. The
sandbox of Jinja stands behind it, stricter than it comes: no global, no call, no attribute of any object.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from typing_extensions import override

from edgewise.bundle.templates import Variable
from edgewise.templates.dialect import Dialect
from edgewise.templates.expressions import LOOP
from edgewise.templates.filters import (
    FILTERS,
    LINK,
    LINK_PART,
    LINK_START,
    TESTS,
    link_part,
    link_start,
    whole_link,
    written,
)
from edgewise.templates.flaws import TemplateRefused, Unrenderable
from edgewise.templates.pages import check_page
from edgewise.templates.variables import read_values

MOST_SOURCE: Final = 100_000
"""Characters of a source."""
MOST_WRITTEN: Final = 256 << 10
"""UTF-8 bytes that one rendering may write."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Reads entries of values, and nothing else of any object."""

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(
            autoescape=autoescape, undefined=StrictUndefined, finalize=written, keep_trailing_newline=True, cache_size=0
        )
        self.globals = {}
        self.filters = {name: known.function for name, known in FILTERS.items()}
        self.filters |= {LINK: whole_link, LINK_START: link_start, LINK_PART: link_part}
        self.tests = dict(TESTS)

    @override
    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            return obj[attribute]
        if isinstance(obj, LoopContext) and attribute in LOOP.of:
            return getattr(obj, attribute)
        raise SecurityError(f"no part {attribute!r} of {type(obj).__name__}")

    @override
    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, list) and isinstance(argument, int):
            return obj[argument]
        raise SecurityError(f"no entry {argument!r} of {type(obj).__name__}")

    @override
    def call(self, *_arguments: Any, **_named: Any) -> NoReturn:
        raise SecurityError("templates call nothing")


_HTML: Final = _Sandbox(autoescape=True)
_TEXT: Final = _Sandbox(autoescape=False)


def _check_left(left: int) -> None:
    if left < 0:
        raise Unrenderable(f"more than {MOST_WRITTEN} bytes would be written; shorten it")


class CompiledTemplate:
    """One source, ready to write. Immutable: threads may share it."""

    __slots__ = ("_compiled", "_variables")

    def __init__(self, source: str, variables: Mapping[str, Variable], dialect: Dialect | None) -> None:
        """Check and compile; `dialect` is None for plain text. `variables`: all that the source may ask for.

        Raises TemplateRefused with the line of what is not allowed.
        """
        self._variables = dict(variables)
        environment = _TEXT if dialect is None else _HTML
        if len(source) > MOST_SOURCE:
            raise TemplateRefused(1, f"{len(source)} characters, at most {MOST_SOURCE} are taken")
        try:
            tree: nodes.Template = environment.parse(source)
            check_page(tree, self._variables, dialect)
            self._compiled = environment.from_string(tree)
        except TemplateSyntaxError as wrong:
            raise TemplateRefused(wrong.lineno, f"not a template: {wrong.message}") from wrong
        except (RecursionError, MemoryError, SyntaxError, OverflowError, ValueError) as wrong:
            raise TemplateRefused(1, f"too deeply nested or too large to compile ({type(wrong).__name__})") from wrong

    def render(self, given: Mapping[str, Any]) -> str:
        """Write with these values; what is not declared is not looked at.

        Raises Unrenderable: a value is missing or not as declared, an address is none, or too much would be written.
        """
        values = read_values(self._variables, given)
        pieces: list[str] = []
        left = MOST_WRITTEN
        try:
            for piece in self._compiled.root_render_func(self._compiled.new_context(values)):
                left -= len(piece.encode())
                _check_left(left)
                pieces.append(piece)
        except Unrenderable as wrong:
            raise Unrenderable(wrong.message, variable=wrong.variable, line=self._line(wrong)) from wrong
        except Exception as wrong:
            # Comparing a text with a number, a list without such an entry: whatever it is, nothing was written.
            raise Unrenderable(f"{type(wrong).__name__}: {wrong}", line=self._line(wrong)) from wrong
        return "".join(pieces)

    def _line(self, error: Exception) -> int:
        """Which line of the source was being written when something went wrong."""
        compiled = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
        return self._compiled.get_corresponding_lineno(compiled[-1].lineno or 1) if compiled else 0
