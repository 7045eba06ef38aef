"""A plan in words: kind by kind, thing by thing, with what became of each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from hub.site.difference import Change, short

_KINDS: Final = ("placements", "collections", "experiments", "items", "templates", "features", "site", "resources")
"""In this order; others follow as they come."""
_WORDS: Final = {"+": "new", "-": "gone", "~": "changed"}
_APPROVAL: Final = ("approved_sha256", "approved_by")
_DIGEST: Final = "sha256:"
_FEW: Final = 6
"""Members of a list that are named."""


def told(changes: Sequence[Change]) -> list[str]:
    """All changes, for people; `+` is new, `-` is gone, `~` has changed."""
    kinds: dict[str, dict[str, list[Change]]] = {}
    for change in changes:
        kind, thing = str(change.steps[0]), str(change.steps[1]) if len(change.steps) > 1 else ""
        kinds.setdefault(kind, {}).setdefault(thing, []).append(change)
    ordered = sorted(kinds, key=lambda kind: _KINDS.index(kind) if kind in _KINDS else len(_KINDS))
    return [line for kind in ordered for line in _kind(kind, kinds[kind])]


def _kind(kind: str, things: dict[str, list[Change]]) -> Iterator[str]:
    marks = {thing: _mark(changes) for thing, changes in things.items()}
    counts = ((list(marks.values()).count(mark), word) for mark, word in _WORDS.items())
    yield f"{kind}: {', '.join(f'{count} {word}' for count, word in counts if count)}"
    for thing, changes in things.items():
        if marks[thing] != "~":
            yield f"  {marks[thing]} {thing or kind}{_title(changes[0])}"
            continue
        parts = list(_parts(changes))
        if len(parts) == 1:
            yield f"  ~ {'.'.join(filter(None, (thing, parts[0][0]))) or kind}: {parts[0][1]}"
        else:
            yield f"  ~ {thing}"
            yield from (f"      {path}: {became}" if path else f"      {became}" for path, became in parts)


def _mark(changes: list[Change]) -> str:
    (first, *others) = changes
    is_whole = not others and len(first.steps) <= 2  # noqa: PLR2004  # kind and thing
    if is_whole and first.before is msgspec.UNSET:
        return "+"
    return "-" if is_whole and first.after is msgspec.UNSET else "~"


def _title(change: Change) -> str:
    """What a thing is called, where it says so, or its value where it is a plain one."""
    value = change.after if change.before is msgspec.UNSET else change.before
    if isinstance(value, dict):
        content = value.get("content")
        title = content.get("title") if isinstance(content, dict) else None
        return f": {short(title)}" if isinstance(title, str) else ""
    if isinstance(value, list):
        return f": {len(value)} of them"
    return "" if isinstance(value, str) and value.startswith(_DIGEST) else f": {short(value)}"


def _parts(changes: list[Change]) -> Iterator[tuple[str, str]]:
    """Where in a thing, and what changed. An approval follows its content: that it changed as well is not news."""
    contents = {change.steps[:-2] for change in changes if "content" in change.steps}
    approvals: dict[tuple[str | int, ...], list[Change]] = {}
    for change in changes:
        if change.steps[-1] in _APPROVAL:
            approvals.setdefault(change.steps[:-1], []).append(change)
        else:
            yield _written(change.steps), _became(change)
    for owner, of_it in approvals.items():
        by = [change.after for change in of_it if change.steps[-1] == "approved_by"]
        if all(change.after is msgspec.UNSET for change in of_it):
            yield _written(owner), "nobody approves it any more"
        elif by:
            yield _written(owner), f"approved by {by[0]}"
        elif not any(steps[: len(owner)] == owner for steps in contents):
            yield _written(owner), "approved anew"


def _written(steps: tuple[str | int, ...]) -> str:
    """Below kind and thing."""
    return ".".join(map(str, steps[2:]))


def _became(change: Change) -> str:
    before, after = change.before, change.after
    if isinstance(before, list) and isinstance(after, list) and _are_names(before) and _are_names(after):
        return _of_lists(before, after)
    if isinstance(after, str) and after.startswith(_DIGEST):
        return "other contents"
    is_moment = str(change.steps[-1]).endswith("_ms")
    told_before, told_after = (_moment(value) if is_moment else short(value) for value in (before, after))
    if before is msgspec.UNSET:
        return f"{told_after} (new)"
    return f"{told_before} (gone)" if after is msgspec.UNSET else f"{told_before} -> {told_after}"


def _are_names(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _of_lists(before: list[str], after: list[str]) -> str:
    words = []
    for mark, names, others in (("+", after, set(before)), ("-", before, set(after))):
        different = [name for name in names if name not in others]
        if different:
            more = f" and {len(different) - _FEW} more" if len(different) > _FEW else ""
            words.append(f"{mark} {', '.join(different[:_FEW])}{more}")
    stayed = dict.fromkeys(name for name in after if name in before)
    if list(stayed) != list(dict.fromkeys(name for name in before if name in after)):
        words.append("in another order")
    return "; ".join(words) or "some are repeated otherwise"


def _moment(value: Any) -> str:
    """A moment in UTC; as it is, where it is none."""
    try:
        return dt.datetime.fromtimestamp(value / 1_000, dt.UTC).isoformat(timespec="minutes").replace("+00:00", "Z")
    except (TypeError, ValueError, OverflowError, OSError):
        return short(value)
