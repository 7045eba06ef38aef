"""Makes our own scripts small: without comments and white space, and with short names for what is theirs alone.

No general minifier: it understands what our scripts are written in, and refuses what it does not. They end every
statement with a semicolon, hold no templates (`` ` ``), and stand in one function each, so that every name that they
declare is theirs. A declared name that is nowhere a property's is renamed, the same way everywhere: two names never
become one, so that what shadows what stays as it was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import product
from string import ascii_letters
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""
    (?P<blank>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<number>\d[\w.]*|\.\d\w*)
    |(?P<word>[A-Za-z_$][\w$]*)
    |(?P<mark>\.\.\.|=>|\?\.(?!\d)|\+\+|--|[^\s\w])
    """,
    re.VERBOSE | re.DOTALL,
)
_REGEX: Final = re.compile(r"/(?![/*])(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
_AFTER_VALUE: Final = re.compile(r"[\w$)\]}\"']$")
_WORDS_BEFORE_REGEX: Final = frozenset({"return", "typeof", "case", "in", "of"})
_DECLARING: Final = frozenset({"const", "let", "var"})
_RESERVED: Final = frozenset(
    (
        *("as", "async", "await", "break", "case", "catch", "class", "const", "continue", "default", "delete", "do"),
        *("else", "export", "extends", "false", "finally", "for", "function", "get", "if", "import", "in"),
        *("instanceof", "let", "new", "null", "of", "return", "set", "static", "super", "switch", "this", "throw"),
        *("true", "try", "typeof", "undefined", "var", "void", "while", "with", "yield", "arguments", "eval"),
    )
)
_SHORTER: Final = {"const": "let", "true": "!0", "false": "!1"}
_OPEN: Final = {"(": ")", "[": "]", "{": "}"}


class Token(NamedTuple):
    """One piece of a script."""

    kind: str
    """`text`, `number`, `word`, `mark` or `regex`."""
    text: str


def minify(source: str) -> str:
    """The same script, smaller.

    Raises:
        ValueError: something that this does not understand; with its line.
    """
    tokens = list(_tokens(source))
    names = _short_names(tokens)
    tokens = _with_one_let(_without_parentheses(tokens))
    written: list[str] = []
    for place, token in enumerate(tokens):
        text, following = token.text, _text(tokens, place + 1)
        if token.kind == "word" and not _is_property(tokens, place):
            text = names.get(text) or _SHORTER.get(text, text)
        if text in {",", ";"} and following in {"}", "]"} and (text == "," or not _is_empty_statement(tokens, place)):
            continue  # a comma at the end of a list, and the last semicolon of a block
        if written and _needs_space(written[-1], text):
            written.append(" ")
        written.append(text)
    return "".join(written)


def _without_parentheses(tokens: list[Token]) -> list[Token]:
    """`(a) =>` as `a =>`."""
    lone = {
        place
        for place, token in enumerate(tokens)
        if token.kind == "word" and [_text(tokens, place + step) for step in (-1, 1, 2)] == ["(", ")", "=>"]
    }
    return [token for place, token in enumerate(tokens) if place + 1 not in lone and place - 1 not in lone]


def _with_one_let(tokens: list[Token]) -> list[Token]:
    """Declarations that follow each other as one: `let a = 1; let b;` as `let a = 1, b;`."""
    kept: list[Token] = []
    declares = [False]
    for place, token in enumerate(tokens):
        if token.kind == "mark" and token.text in _OPEN:
            declares.append(False)
        elif token.kind == "mark" and token.text in _OPEN.values():
            declares.pop()
        elif token.text in _DECLARING and declares[-1] and _text(tokens, place - 1) == ";":
            kept[-1] = Token("mark", ",")
            continue
        elif token.kind == "word" and _text(tokens, place - 1) in {"", ";", "{", "}"}:
            declares[-1] = token.text in _DECLARING
        kept.append(token)
    return kept


def _tokens(source: str) -> Iterator[Token]:
    position, before = 0, ""
    while position < len(source):
        found = None
        if source[position] == "/" and (not _AFTER_VALUE.search(before) or before in _WORDS_BEFORE_REGEX):
            found = _REGEX.match(source, position)
        kind = "regex"
        if found is None:
            found = _TOKEN.match(source, position)
            kind = str(found.lastgroup) if found is not None else ""
        if found is None or found[0] in {"`", '"', "'", "#"}:
            line = source.count("\n", 0, position) + 1
            raise ValueError(f"line {line}: {source[position : position + 20]!r} is not understood here")
        position = found.end()
        if kind != "blank":
            before = found[0]
            yield Token(kind, before)


def _short_names(tokens: list[Token]) -> dict[str, str]:
    """Declared name -> a short one, the shortest for those that are used most."""
    words = [token.text for token in tokens if token.kind == "word"]
    declared = _declared(tokens)
    properties = {token.text for place, token in enumerate(tokens) if _is_property(tokens, place)}
    properties |= _shorthands(tokens)
    own = [name for name, _ in Counter(words).most_common() if name in declared - properties - _RESERVED]
    taken = (set(words) - set(own)) | _RESERVED
    short = (
        name
        for length in (1, 2, 3)
        for letters in product(ascii_letters, repeat=length)
        if (name := "".join(letters)) not in taken
    )
    return dict(zip(own, short, strict=False))


def _declared(tokens: list[Token]) -> set[str]:
    """Names after `const`, `let` and `function`, and those of parameters."""
    declared: set[str] = set()
    for place, token in enumerate(tokens):
        if token.text in _DECLARING or token.text == "function":
            following = tokens[place + 1]
            if following.kind == "word":
                declared.add(following.text)
            elif following.text == "[":
                declared |= _words(tokens, place + 1, _closing(tokens, place + 1))
        if token.text == "=>":
            before = tokens[place - 1]
            if before.kind == "word":
                declared.add(before.text)
            else:
                declared |= _parameters(tokens, _opening(tokens, place - 1), place - 1)
        if token.text == "(" and (_text(tokens, place - 1) in {"function", "catch"}):
            declared |= _parameters(tokens, place, _closing(tokens, place))
    return declared


def _parameters(tokens: list[Token], start: int, end: int) -> set[str]:
    """Names of a list of parameters: not those in what they default to."""
    return {
        token.text
        for place, token in enumerate(tokens[start:end], start)
        if token.kind == "word" and _text(tokens, place - 1) in {"(", ",", "[", "..."}
    }


def _words(tokens: list[Token], start: int, end: int) -> set[str]:
    return {token.text for token in tokens[start:end] if token.kind == "word"}


def _is_property(tokens: list[Token], place: int) -> bool:
    """Whether a word is the name of a property: after a point, or before a colon or a parenthesis in an object."""
    if tokens[place].kind != "word":
        return False
    if _text(tokens, place - 1) in {".", "?."}:
        return True
    opens = _text(tokens, place - 1) in {"{", ","}
    return opens and (_text(tokens, place + 1) == ":" or _is_method(tokens, place))


def _is_method(tokens: list[Token], place: int) -> bool:
    if _text(tokens, place + 1) != "(":
        return False
    return _text(tokens, _closing(tokens, place + 1) + 1) == "{" and tokens[place].text not in _RESERVED


def _shorthands(tokens: list[Token]) -> set[str]:
    """`a` and `b` of `{ a, b }`: they are properties and variables in one."""
    found: set[str] = set()
    inside: list[str] = []
    for place, token in enumerate(tokens):
        if token.text in _OPEN:
            inside.append(token.text)
        elif token.text in _OPEN.values() and token.kind == "mark":
            inside.pop()
        elif (
            token.kind == "word"
            and inside[-1:] == ["{"]
            and _text(tokens, place - 1) in {"{", ","}
            and _text(tokens, place + 1) in {",", "}"}
        ):
            found.add(token.text)
    return found


def _closing(tokens: list[Token], place: int) -> int:
    return _across(tokens, place, 1)


def _opening(tokens: list[Token], place: int) -> int:
    return _across(tokens, place, -1)


def _across(tokens: list[Token], place: int, step: int) -> int:
    """The place of the bracket that belongs to the one at `place`."""
    depth = 0
    while True:
        token = tokens[place]
        if token.kind == "mark":
            depth += (token.text in _OPEN) - (token.text in _OPEN.values())
        if depth == 0:
            return place
        place += step


def _text(tokens: list[Token], place: int) -> str:
    return tokens[place].text if 0 <= place < len(tokens) else ""


def _is_empty_statement(tokens: list[Token], place: int) -> bool:
    """`for (…);` ends in a semicolon that must stay."""
    return _text(tokens, place - 1) == ")" and _text(tokens, _opening(tokens, place - 1) - 1) in {"for", "while", "if"}


def _needs_space(before: str, after: str) -> bool:
    if re.match(r"[\w$]", after) and re.search(r"[\w$]$", before):
        return True
    return before[-1] == after[0] and after[0] in "+-"
