"""The shop's documents: every address has one of its own, which can be read without any script.

What a visitor sees before an edge node has answered, and where none does, is what is written here: the most-read
articles, the season's banner, and empty places for films. Each place has its final size, so that nothing moves when it
is filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any, Final, NamedTuple

from edgewise.ids import ItemId
from hub.datasets.films import Film
from hub.site.documents import read_yaml

HOME: Final = "/"
READING: Final = "/reading"
FILM: Final = "/films/"
FILMS: Final = 10


class Page(NamedTuple):
    """What lies at one address."""

    title: str
    main: str
    """HTML between header and footer."""


class Frame(NamedTuple):
    """What is the same on all pages."""

    world: str
    """Whose behaviour this is, in a sentence."""
    node: str
    """The edge node that this page asks."""
    number: int
    """Which one of them it is, from 1."""
    nodes: int
    write_key: str


class Shelf:
    """Everything that has an address."""

    def __init__(self, films: Mapping[ItemId, Film]) -> None:
        self._films = films
        offers, self._articles = _items("offers.yaml"), sorted(_items("articles.yaml"), key=_reads, reverse=True)
        season = next(item for item in offers if item["attributes"]["kind"] == "season")
        reads = _cards(self._articles[:3])
        home = _filled("home.html", banner=_banner(season), films=_FILM * FILMS, reads=reads)
        self._pages = {HOME: Page("Films", home)}
        self._pages[READING] = Page("Reading", _filled("reading.html", articles=_cards(self._articles)))
        for item in self._articles:
            self._pages[str(item["content"]["link"])] = _article(item, reads)
        for item in offers:
            self._pages[str(item["content"]["link"])] = _offer(item, reads)

    def page(self, path: str) -> Page | None:
        """What lies there; None where nothing does."""
        film = self._films.get(ItemId(path.removeprefix(FILM))) if path.startswith(FILM) else None
        if film is not None:
            meta = f"{film.year or ''} {', '.join(film.genres)}".strip()
            return Page(film.title, _filled("film.html", title=escape(film.title), meta=escape(meta)))
        return self._pages.get(path if path == HOME else path.rstrip("/"))


def document(page: Page, frame: Frame) -> str:
    """The whole document of a page."""
    options = "".join(
        f'<option value="{number}"{" selected" if number == frame.number else ""}>edge {number}</option>'
        for number in range(1, frame.nodes + 1)
    )
    return _filled(
        "shell.html",
        title=escape(page.title),
        main=page.main,
        world=escape(frame.world),
        node=escape(frame.node),
        key=escape(frame.write_key),
        nodes=options,
    )


def _article(item: dict[str, Any], reads: str) -> Page:
    content = item["content"]
    text = (files("hub.demo") / "reading" / f"{item['id']}.txt").read_text(encoding="utf-8")
    paragraphs = "".join(f"<p>{escape(' '.join(part.split()))}</p>" for part in text.strip().split("\n\n"))
    main = _filled(
        "article.html",
        id=escape(item["id"]),
        topic=escape(item["attributes"]["topic"][0]),
        label=escape(content["label"]),
        title=escape(content["title"]),
        minutes=escape(str(content["minutes"])),
        teaser=escape(content["text"]),
        paragraphs=paragraphs,
        reads=reads,
    )
    return Page(str(content["title"]), main)


def _offer(item: dict[str, Any], reads: str) -> Page:
    content, price = item["content"], item["attributes"].get("price")
    main = _filled(
        "offer.html",
        id=escape(item["id"]),
        label=escape(content["label"]),
        title=escape(content["title"]),
        text=escape(content["text"]),
        price="" if price is None else f'<p class="price">€ {price:.2f}</p>',
        reads=reads,
    )
    return Page(str(content["title"]), main)


def _banner(item: dict[str, Any]) -> str:
    content = item["content"]
    return _filled(
        "banner.html", **{name: escape(content[name]) for name in ("label", "title", "text", "call", "link")}
    )


def _cards(items: list[dict[str, Any]]) -> str:
    return "".join(
        f'<div><a class="card topic-{escape(item["attributes"]["topic"][0])}" href="{escape(item["content"]["link"])}">'
        f'<span class="label">{escape(item["content"]["label"])} · {item["content"]["minutes"]} min</span>'
        f'<span class="title">{escape(item["content"]["title"])}</span>'
        f'<span class="text">{escape(item["content"]["text"])}</span></a></div>'
        for item in items
    )


_FILM: Final = '<div><span class="film blank"></span></div>'


def _items(name: str) -> list[dict[str, Any]]:
    source = files("hub.demo") / "film_shop" / "items" / name
    read, problems = read_yaml(name, source.read_text(encoding="utf-8"))
    assert read is not None, problems
    listed: list[dict[str, Any]] = read.value
    return listed


def _reads(item: dict[str, Any]) -> float:
    return float(item["attributes"]["reads"])


def _filled(name: str, **parts: str) -> str:
    text = (files("hub.demo") / "page" / name).read_text(encoding="utf-8")
    for part, content in parts.items():
        text = text.replace(f"{{{{{part}}}}}", content)
    return text
