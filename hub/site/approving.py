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
from hub.site.checking import did_you_mean_item, is_approved
from hub.site.files import ItemFile
from hub.site.reading import Place, raise_if_any, read_files

KEY: Final = "approved"


class Approved(NamedTuple):
    """An item whose content was approved now."""

    item: ItemId
    sha256: str
    file: str


def approve_items(folder: Path, by: str, items: Collection[ItemId] = ()) -> list[Approved]:
    """Approve the current content of the named items, or of all whose content is not approved.

    Items whose content is approved already stay as they are.

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
        if (not items or item.id in items) and not is_approved(item):
            waiting.setdefault(place.document.file, []).append((item, place))
    edited = {file: _edited(folder / file, entries, by) for file, entries in waiting.items()}
    for file, text in edited.items():
        replace_file(folder / file, text.encode())
    return [
        Approved(item.id, content_sha256(item.content), file)
        for file, entries in waiting.items()
        for item, _ in entries
    ]


def _edited(path: Path, entries: list[tuple[ItemFile, Place]], by: str) -> str:
    text = path.read_bytes().decode()
    approvals = {item.id: {"by": by, "sha256": content_sha256(item.content)} for item, _ in entries}
    if path.suffix == ".jsonl":
        return "".join(_edited_lines(text, approvals))
    # From the end on, so that earlier positions stay right.
    root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.SequenceNode)
    expected = yaml.safe_load(text)
    for position in sorted((place.path[0] for _, place in entries), reverse=True):
        assert isinstance(position, int)
        approval = approvals[expected[position]["id"]]
        text = _with_approval(text, root.value[position], approval)
        expected[position][KEY] = approval
    if yaml.safe_load(text) != expected:
        raise SiteError(f"{path}: cannot write the approvals into this layout; write one item a `- id:` block")
    return text


def _edited_lines(text: str, approvals: Mapping[ItemId, dict[str, str]]) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        item: dict[str, Any] = msgspec.json.decode(line) if line.strip() else {}
        approval = approvals.get(ItemId(item.get("id", "")))
        if approval is None:
            yield line
        else:
            yield msgspec.json.encode(item | {KEY: approval}).decode() + "\n"


def _with_approval(text: str, item: yaml.MappingNode, approval: dict[str, str]) -> str:
    by = msgspec.json.encode(approval["by"]).decode()  # a JSON string is a YAML string
    written = f'{{by: {by}, sha256: "{approval["sha256"]}"}}'
    for key, value in item.value:
        if key.value == KEY:
            return text[: value.start_mark.index] + written + text[_end(value) :]
    key, value = next(pair for pair in item.value if pair[0].value == "id")
    if item.flow_style:
        end = value.end_mark.index
        return f"{text[:end]}, {KEY}: {written}{text[end:]}"
    end = text.find("\n", value.end_mark.index)
    end = len(text) if end < 0 else end
    return f"{text[:end]}\n{' ' * key.start_mark.column}{KEY}: {written}{text[end:]}"


def _end(value: yaml.Node) -> int:
    """Where a value's text ends; a block's own mark lies behind the comments that follow it."""
    if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
        return _end(value.value[-1][1])
    return value.end_mark.index
