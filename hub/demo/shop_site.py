"""The film shop as a site folder: YAML that a person could have written, and its films one a line."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Final

import msgspec

from edgewise.bundle.catalogue import content_sha256
from edgewise.hashing import fnv1a32
from edgewise.ids import ItemId
from hub.datasets.films import Film, FilmHistory
from hub.demo.story import Story
from hub.site.approving import approve_items
from hub.site.approving_templates import approve_templates

WRITE_KEY: Final = "demo"
EDITOR: Final = "demo script"
"""Who approves in the demo. In a real site a person does, by name."""
POSTERS: Final = 8
"""Patterns that the page has."""
_YAML: Final = "film_shop"
_FOLDERS: Final = ("placements", "collections", "experiments", "features", "items", "models", "promotions", "templates")
_ORIGIN: Final = "http://storefront.invalid"
_NO_KEYS: Final = "write_key_sha256: []"
_DAYS_AGO: Final = re.compile(r'"-(\d+) days"')
"""A date that the demo counts back from the day on which it starts."""


def write_shop(folder: Path, history: FilmHistory, story: Story, *, origin: str, today: dt.date) -> None:
    """Write the whole site: the shipped YAML, filled with the page's origin and dates, and the films; all approved.

    A film's `ratings` attribute, which the champion ranks by, counts the *past* only.
    """
    root = files("hub.demo") / _YAML
    for kind in ("", *_FOLDERS):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for source in sorted((root / kind if kind else root).iterdir(), key=lambda path: path.name):
            if source.is_file():
                text = source.read_text(encoding="utf-8")
                (folder / kind / source.name).write_text(_filled(text, origin, today), encoding="utf-8")
    ratings = Counter(rated.item for rated in story.past)
    encode = msgspec.json.Encoder().encode
    with (folder / "items" / "films.jsonl").open("wb") as lines:
        for item, film in history.items.items():
            content = _content(item, film)
            attributes: dict[str, object] = {
                "kind": "film",
                "category": list(film.genres),
                "ratings": float(ratings[item]),
            }
            if film.year is not None:
                attributes["year"] = float(film.year)
            approved = {"by": EDITOR, "sha256": content_sha256(content)}
            lines.write(
                encode({"id": item, "content": content, "attributes": attributes, "approved": approved}) + b"\n"
            )
    approve_items(folder, EDITOR)
    approve_templates(folder, EDITOR)


def _content(item: ItemId, film: Film) -> dict[str, object]:
    content: dict[str, object] = {"title": film.title, "genres": list(film.genres), "link": f"/films/{item}"}
    if film.year is not None:
        content["year"] = film.year
    # Posters are patterns: the data has none. Hashed, so that a film keeps its colours wherever the demo runs.
    return content | {"poster": str(fnv1a32(item) % POSTERS)}


def _filled(text: str, origin: str, today: dt.date) -> str:
    digest = hashlib.sha256(WRITE_KEY.encode()).hexdigest()
    text = _DAYS_AGO.sub(lambda ago: f'"{today - dt.timedelta(days=int(ago[1]))}"', text)
    return text.replace(_ORIGIN, origin).replace(_NO_KEYS, f"write_key_sha256: [{digest}]")
