"""YAML and JSON lines as plain values that remember their lines, so that every error can say `file:line`.

Only what a person writes by hand is accepted: no tags, anchors, aliases or duplicate keys, and no word that YAML 1.1
quietly turns into something else (`NO` into false, `12:30` into 750).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from edgewise.errors import Problem

MOST_BYTES: Final = 4 << 20
"""A YAML file may not be bigger; big catalogues are JSON lines."""
MOST_DEPTH: Final = 24

Steps = Sequence[str | int]
"""Keys and positions that lead to a value."""
Say = Callable[[Steps, str], Problem]
"""Makes a problem of a path and a message."""

_ALLOWED = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "timestamp")}
_SEQUENCE = "tag:yaml.org,2002:seq"
_MAPPING = "tag:yaml.org,2002:map"
# The same constructor as SafeLoader, over libyaml where the wheel has it: ten times as fast.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Document:
    """One YAML file, or one line of a JSON lines file."""

    def __init__(self, file: str, value: Any, *, root: yaml.Node | None = None, first_line: int = 1) -> None:
        self.file = file
        """Path below the site's folder, with slashes."""
        self.value = value
        self._root = root
        self._first_line = first_line

    def line(self, path: Steps = ()) -> int:
        """The line, from 1, of the value at `path`, or of the nearest value around it that exists."""
        node = self._root
        line = self._first_line if node is None else node.start_mark.line + 1
        for step in path:
            if isinstance(node, yaml.MappingNode):
                found = [(key, value) for key, value in node.value if key.value == step]
                if not found:
                    break
                line = found[0][0].start_mark.line + 1
                node = found[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
            else:
                break
        return line

    def problem(self, path: Steps, message: str) -> Problem:
        """What is wrong at `path`."""
        return Problem(f"{self.file}:{self.line(path)}", f"{written(path)}: {message}" if path else message)


def written(path: Steps) -> str:
    """A path as people write it: `arms.champion.ranking`, `[3].content`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def read_yaml(file: str, text: str) -> tuple[Document | None, list[Problem]]:
    """The document of a file's text, or what is wrong with it.

    An empty file is a document of None.
    """
    if len(text) > MOST_BYTES:
        return None, [Problem(f"{file}:1", f"{len(text)} characters; expected at most {MOST_BYTES}: use a .jsonl file")]
    try:
        refused = _first_refused(file, text)
        if refused is not None:
            return None, [refused]
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            reading = _Reading(file, loader)
            value = None if root is None else reading.value(root, ())
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        line = 1 if mark is None else mark.line + 1
        return None, [Problem(f"{file}:{line}", f"not YAML: {wrong.problem or wrong.context}{_hint(text, line)}")]
    except yaml.YAMLError as wrong:
        return None, [Problem(f"{file}:1", f"not YAML: {str(wrong).splitlines()[0]}; save the file as UTF-8 text")]
    if reading.problems:
        return None, reading.problems
    return Document(file, value, root=root), []


def composed(text: str) -> yaml.Node | None:
    """The nodes of a text that was read already, by the loader that read it: another one may refuse what it took."""
    root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return root


def values_of(text: str) -> Any:
    """The values of such a text."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506  # a safe one


def read_json_lines(file: str, path: Path) -> Iterator[tuple[Document | None, list[Problem]]]:
    """One document for each line that is not empty."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield Document(file, msgspec.json.decode(line), first_line=number), []
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
                yield None, [Problem(f"{file}:{number}", f"not JSON: {wrong}; expected one object a line")]


def _first_refused(file: str, text: str) -> Problem | None:
    """What must be found before nodes are made.

    libyaml's composer recurses until the process dies, and a document of aliases to aliases grows without bound.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = 1 if event.start_mark is None else event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            return Problem(f"{file}:{line}", "anchors and aliases (& and *) are not allowed; write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_DEPTH:
            return Problem(f"{file}:{line}", f"nested too deeply; expected at most {MOST_DEPTH} levels")
    return None


class _Reading:
    """Turns nodes into values and collects what is wrong with them."""

    def __init__(self, file: str, loader: yaml.SafeLoader) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._loader = loader

    def value(self, node: yaml.Node, path: tuple[str | int, ...]) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _SEQUENCE:
            return [self.value(child, (*path, position)) for position, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode) and node.tag == _MAPPING:
            return self._mapping(node, path)
        return self._wrong(node, path, f"the tag {node.tag} is not allowed; remove it")

    def _mapping(self, node: yaml.MappingNode, path: tuple[str | int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node, path) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                shown = key_node.value if isinstance(key_node, yaml.ScalarNode) else "a list or mapping"
                self._wrong(key_node, path, f"the key {shown} is no text; put it in quotes")
            elif key in lines:
                self._wrong(key_node, path, f"the key {key!r} is there twice, first in line {lines[key]}; remove one")
            else:
                lines[key] = key_node.start_mark.line + 1
                found[key] = self.value(value_node, (*path, key))
        return found

    def _scalar(self, node: yaml.ScalarNode, path: tuple[str | int, ...]) -> Any:
        if node.tag not in _ALLOWED:
            return self._wrong(node, path, f"the tag {node.tag} is not allowed; remove it, or put the text in quotes")
        try:
            value = self._loader.construct_object(node)
        except (ValueError, OverflowError, yaml.YAMLError) as wrong:
            return self._wrong(node, path, f"{node.value[:80]!r} cannot be read ({wrong}); put it in quotes")
        message = _misread(node.value, value)
        return value if message is None else self._wrong(node, path, message)

    def _wrong(self, node: yaml.Node, path: tuple[str | int, ...], message: str) -> None:
        place = f"{written(path)}: " if path else ""
        self.problems.append(Problem(f"{self._file}:{node.start_mark.line + 1}", place + message))


def _misread(text: str, value: Any) -> str | None:
    """What YAML 1.1 made of a word that its writer surely meant otherwise."""
    if isinstance(value, bool) and text.lower() not in {"true", "false"}:
        return f"{text} means {'true' if value else 'false'} in YAML; write that, or use quotes"
    if isinstance(value, (int, float)) and ":" in text:
        return f"{text} means {value} in YAML; put it in quotes"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{text} is no finite number; write one, or use quotes"
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        return f"{text} has no time zone; add one, as in 2026-12-01T09:00:00+01:00"
    return None


def _hint(text: str, line: int) -> str:
    lines = text.splitlines()
    if any("\t" in written_line[: len(written_line) - len(written_line.lstrip())] for written_line in lines[:line]):
        return "; indent with spaces, not tabs"
    return "; check indentation, colons and quotes here and in the line above"
