"""A model's card in Hugging Face's form: a YAML header, then prose sections (huggingface.co/docs/hub/model-cards).

A card is plain JSON that its trainer filled in: a text is a paragraph, a mapping is a table, a list is a list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import yaml

from hub.ledger.rows import ModelRow


def headline(row: ModelRow) -> dict[str, Any]:
    """What identifies a version and says how far it has come."""
    plain: dict[str, Any] = msgspec.to_builtins(row)
    plain.pop("card")
    return plain


def card_text(row: ModelRow, features: Sequence[str]) -> str:
    """The card as Markdown with a YAML header."""
    header = yaml.safe_dump({**headline(row), "features": list(features)}, sort_keys=False, width=120)
    sections = "\n".join(
        f"\n## {name.replace('_', ' ').capitalize()}\n\n{_section(value)}" for name, value in row.card.items()
    )
    return f"---\n{header}---\n\n# {row.name}@{row.version}\n{sections}"


def _section(value: Any) -> str:
    if isinstance(value, Mapping):
        rows = "\n".join(f"| {key} | {_cell(part)} |" for key, part in value.items())
        return f"| | |\n|-|-|\n{rows}\n"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "\n".join(f"- {_cell(part)}" for part in value) + "\n"
    return f"{_cell(value)}\n"


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
