"""A model's card in Hugging Face's form: a YAML header, then prose sections (huggingface.co/docs/hub/model-cards).

A card is plain JSON that its trainer filled in: a text is a paragraph, a mapping is a table, a list is a list. What
Mitchell et al. ("Model cards for model reporting", 2019) ask of every card is in `EXPECTED`; a card that is silent
about a part of it says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
import yaml

from edgewise.errors import InputError
from hub.ledger.rows import ModelRow
from hub.report_page import Bar, bars, heading, in_table, page, sentence, sentences

EXPECTED: Final[Mapping[str, str]] = {
    "summary": "what it is for",
    "data": "which data, from when to when",
    "metrics": "how good it is, with intervals",
    "features": "what it reads",
    "consent": "for which purposes people let it be read",
    "fairness": "what was measured for groups of people, and what was not",
    "known_limits": "what it cannot do",
}
"""Sections that every card owes, and what each is about."""
METRICS: Final = "metrics"
_MIDDLES: Final = ("estimate", "mean", "value")


class CardFormat(StrEnum):
    """How a card is written."""

    MARKDOWN = "md"
    JSON = "json"
    HTML = "html"


def format_of(suffix: str) -> CardFormat:
    """Of a file by its ending, `.md`, `.json` or `.html`. Raises InputError."""
    try:
        return CardFormat(suffix.removeprefix(".").lower())
    except ValueError:
        raise InputError(f"{suffix or 'no'} ending of a card; expected .md, .json or .html") from None


def headline(row: ModelRow) -> dict[str, Any]:
    """What identifies a version and says how far it has come."""
    plain: dict[str, Any] = msgspec.to_builtins(row)
    plain.pop("card")
    return plain


def unstated(card: Mapping[str, Any]) -> list[str]:
    """What a card owes and does not say, a line each."""
    return [f"{name.replace('_', ' ')}: {about}" for name, about in EXPECTED.items() if not card.get(name)]


def card_text(row: ModelRow, features: Sequence[str]) -> str:
    """The card of a registered model as Markdown with a YAML header."""
    return card_markdown(f"{row.name}@{row.version}", row.card, {**headline(row), "features": list(features)})


def card_markdown(title: str, card: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
    """A card as Markdown, under a YAML header where there is one."""
    dumped = yaml.safe_dump(dict(header), sort_keys=False, width=120) if header else None
    front = f"---\n{dumped}---\n\n" if dumped else ""
    sections = "\n".join(f"\n## {_titled(name)}\n\n{_section(value)}" for name, value in _parts(card))
    return f"{front}# {title}\n{sections}"


def card_page(title: str, card: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
    """A card as an HTML page, its metrics drawn with their intervals."""
    parts = [in_table(["", ""], [[key, _cell(value)] for key, value in header.items()])] if header else []
    for name, value in _parts(card):
        parts.append(heading(_titled(name)))
        drawn = _bars(value) if name == METRICS and isinstance(value, Mapping) else []
        if drawn:
            parts.append(bars("Each metric with its 95 % interval, where it has one", drawn))
        parts.append(_html(value))
    return page(title, *parts)


def card_file(kind: CardFormat, title: str, card: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
    """A card in one of its forms, ready to be written as UTF-8."""
    match kind:
        case CardFormat.MARKDOWN:
            return card_markdown(title, card, header)
        case CardFormat.HTML:
            return card_page(title, card, header)
        case CardFormat.JSON:
            whole = {**(header or {}), "card": card} if header else card
            return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


def _parts(card: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from card.items()
    silent = unstated(card)
    if silent:
        yield "not stated", silent


def _titled(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _section(value: Any) -> str:
    if isinstance(value, Mapping):
        rows = "\n".join(f"| {_piped(key)} | {_piped(_cell(part))} |" for key, part in value.items())
        return f"| | |\n|-|-|\n{rows}\n"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "\n".join(f"- {_cell(part)}" for part in value) + "\n"
    return f"{_cell(value)}\n"


def _piped(text: str) -> str:
    """A column of a table may be called `a|b`, and a line break would end the row."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def _html(value: Any) -> str:
    if isinstance(value, Mapping):
        return in_table(["", ""], [[str(key), _cell(part)] for key, part in value.items()])
    if isinstance(value, Sequence) and not isinstance(value, str):
        return sentences([_cell(part) for part in value])
    return sentence(_cell(value))


def _bars(metrics: Mapping[str, Any]) -> list[Bar]:
    """Those between -1 and 1, which share a scale."""
    drawn = []
    for name, held in metrics.items():
        if isinstance(held, Mapping):
            middle = next((held[key] for key in _MIDDLES if isinstance(held.get(key), int | float)), None)
            if middle is not None and abs(middle) <= 1:
                ends = (held.get(key) for key in ("ci_low", "ci_high"))
                low, high = (float(end) if isinstance(end, int | float) else float("nan") for end in ends)
                drawn.append(Bar(str(name), float(middle), low, high))
        elif isinstance(held, float) and abs(held) <= 1:
            drawn.append(Bar(str(name), held))
    return drawn


def _cell(value: Any) -> str:
    """In words: `0.31 [0.25, 0.35]` for a number with its interval, `name value; name value` for other mappings."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return "; ".join(_with_interval(value)) or "none"
    if isinstance(value, Sequence):
        return ", ".join(map(_cell, value)) or "none"
    return msgspec.json.encode(value).decode()


def _with_interval(value: Mapping[str, Any]) -> Iterator[str]:
    middle = next((key for key in _MIDDLES if key in value), None)
    told: set[str] = set()
    if middle is not None and {"ci_low", "ci_high"} <= set(value):
        ends = (value[middle], value["ci_low"], value["ci_high"])
        if all(isinstance(end, int | float) for end in ends):
            told = {middle, "ci_low", "ci_high"}
            yield "{:.4g} [{:.4g}, {:.4g}]".format(*ends)
    yield from (f"{key} {_cell(part)}" for key, part in value.items() if key not in told)
