"""Profile files for `edgewise bench` that ask the shop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewise.ids import PlacementName
from figures.shop import HERO
from figures.stock import film


def write_mix(folder: Path, name: str, **fields: Any) -> Path:
    """A profile file for `edgewise bench` that asks the hero; `fields` replace visitors and requests."""
    items: Sequence[str] = fields.get("items", [film(number) for number in range(200)])
    known = {"new": 0.2, "returning": 500, "history": 20, **fields.get("visitors", {})}
    lines = [f"items = {list(items)!r}", "[visitors]", *(f"{key} = {value}" for key, value in known.items())]
    for request in fields.get("requests", [hero()]):
        lines += ["[[requests]]", *request]
    for share, factor in fields.get("shape", []):
        lines += ["[[shape]]", f"share = {share}", f"factor = {factor}"]
    file = folder / f"{name}.toml"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def hero(placement: PlacementName = HERO, *, explain: bool = False, share: int = 1) -> list[str]:
    """A request of a mix that decides one placement."""
    return [
        'ask = "decide"',
        f"share = {share}",
        f"explain = {str(explain).lower()}",
        f'placements = [{{ name = "{placement}" }}]',
    ]
