"""A person approves contents: the approval is written beside them, in the files that the owner keeps in git.

The files are edited as text, one entry an item, so that comments and layout stay as they were. What was written is
read back and compared before a file is replaced.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import yaml

from edgewise.bundle.catalogue import content_sha256
from edgewise.errors import InputError, Problem, SiteError
from edgewise.ids import ItemId
from hub.durable import replace_file
from hub.site.checking import did_you_mean_item, is_approved, waits
from hub.site.copies import copies
from hub.site.documents import composed, values_of
from hub.site.files import Copy, ItemFile, RepresentationFile, VariantFile
from hub.site.reading import Place, raise_if_any, read_files

KEY: Final = "approved"
VARIANTS: Final = "variants"
REPRESENTATIONS: Final = "representations"


class Approved(NamedTuple):
    """An item whose content, or a variant or representation of it, was approved now."""

    item: ItemId
    sha256: str
    file: str
    variant: str = ""
    representation: str = ""


class _Edit(NamedTuple):
    """Text to put in the place of other text."""

    start: int
    end: int
    text: str


def approve_items(folder: Path, by: str, items: Collection[ItemId] = ()) -> list[Approved]:
    """Approve the current content of the named items in all their copies, or of all whose content is not approved.

    What is approved already stays as it is.

    Raises:
        SiteError: a file of the site cannot be read; nothing is written.
        InputError: an item does not exist, or nobody is named; nothing is written.
    """
    if not by.strip():
        raise InputError("an approval needs a name; say who approves with --by NAME")
    files = read_files(folder)
    unknown = [item for item in items if item not in files.items]
    raise_if_any(
        folder, [Problem(item, f"there is no such item; {did_you_mean_item(item, files)}") for item in unknown]
    )
    waiting: dict[str, list[tuple[ItemFile, Place]]] = {}
    for item, place in files.items.values():
        if (not items or item.id in items) and waits(item):
            waiting.setdefault(place.document.file, []).append((item, place))
    edited = {file: _edited(folder / file, entries, by) for file, entries in waiting.items()}
    for file, text in edited.items():
        replace_file(folder / file, text.encode())
    return [told for file, entries in waiting.items() for item, _ in entries for told in _told(item, file)]


def _told(item: ItemFile, file: str) -> Iterator[Approved]:
    """What of an item nobody had approved: itself, then its variants, then its representations."""
    for steps, copy in copies(item):
        if not is_approved(copy):
            variant = copy.name if isinstance(copy, VariantFile) else ""
            representation = str(steps[1]) if isinstance(copy, RepresentationFile) else ""
            yield Approved(item.id, content_sha256(copy.content), file, variant, representation)


def _edited(path: Path, entries: list[tuple[ItemFile, Place]], by: str) -> str:
    text = path.read_bytes().decode("utf-8-sig")
    if path.suffix == ".jsonl":
        return "".join(_edited_lines(text, {item.id: item for item, _ in entries}, by))
    root = composed(text)
    assert isinstance(root, yaml.SequenceNode)
    expected = values_of(text)
    edits: list[_Edit] = []
    for item, place in entries:
        position = place.path[0]
        assert isinstance(position, int)
        edits += _edits(text, root.value[position], expected[position], item, by)
    # From the end on, so that earlier positions stay right.
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    if values_of(text) != expected:
        raise SiteError(f"{path}: cannot write the approvals into this layout; write one item a `- id:` block")
    return text


def _edits(text: str, node: yaml.Node, plain: dict[str, Any], item: ItemFile, by: str) -> Iterator[_Edit]:
    """The edits that approve what waits of one item; `plain`, the item as it is read, is approved on the way."""
    assert isinstance(node, yaml.MappingNode)
    if not is_approved(item):
        plain[KEY] = _approval(item, by)
        yield with_approval(text, node, "id", plain[KEY])
    for key, value in node.value:
        parts: list[tuple[yaml.Node, dict[str, Any], Copy]] = []
        after: str | None = None
        if key.value == VARIANTS:
            assert isinstance(value, yaml.SequenceNode)
            parts += zip(value.value, plain[VARIANTS], item.variants, strict=True)
            after = "name"
        elif key.value == REPRESENTATIONS:
            assert isinstance(value, yaml.MappingNode)
            named = {name.value: part for name, part in value.value}
            parts += (
                (named[name], plain[REPRESENTATIONS][name], known) for name, known in item.representations.items()
            )
        for part, written, copy in parts:
            assert isinstance(part, yaml.MappingNode)
            if not is_approved(copy):
                written[KEY] = _approval(copy, by)
                yield with_approval(text, part, after, written[KEY])


def _approval(copy: Copy, by: str) -> dict[str, str]:
    return {"by": by, "sha256": content_sha256(copy.content)}


def _edited_lines(text: str, waiting: Mapping[ItemId, ItemFile], by: str) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        plain: dict[str, Any] = msgspec.json.decode(line) if line.strip() else {}
        item = waiting.get(ItemId(plain.get("id", "")))
        if item is None:
            yield line
            continue
        parts: list[tuple[dict[str, Any], Copy]] = [(plain, item)]
        parts += zip(plain.get(VARIANTS, []), item.variants, strict=True)
        parts += ((plain[REPRESENTATIONS][name], known) for name, known in item.representations.items())
        for written, copy in parts:
            if not is_approved(copy):
                written[KEY] = _approval(copy, by)
        yield msgspec.json.encode(plain).decode() + "\n"


def with_approval(text: str, node: yaml.MappingNode, after: str | None, approval: dict[str, str]) -> _Edit:
    """The approval in the place of an older one, or behind the key `after`; None: before all keys."""
    by = msgspec.json.encode(approval["by"]).decode()  # a JSON string is a YAML string
    written = f'{{by: {by}, sha256: "{approval["sha256"]}"}}'
    for key, value in node.value:
        if key.value == KEY:
            return _Edit(value.start_mark.index, _end(value), written)
    if after is None:
        key, _ = node.value[0]
        start = key.start_mark.index
        behind = ", " if node.flow_style else f"\n{' ' * key.start_mark.column}"
        return _Edit(start, start, f"{KEY}: {written}{behind}")
    key, value = next(pair for pair in node.value if pair[0].value == after)
    end = value.end_mark.index
    if node.flow_style:
        return _Edit(end, end, f", {KEY}: {written}")
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    return _Edit(line_end, line_end, f"\n{' ' * key.start_mark.column}{KEY}: {written}")


def _end(value: yaml.Node) -> int:
    """Where a value's text ends; a block's own mark lies behind the comments that follow it."""
    if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
        return _end(value.value[-1][1])
    return value.end_mark.index
