"""MovieLens 100k, read from the wheel of RecBole 1.2.1 that carries it unchanged.

Harper, Konstan 2015, The MovieLens Datasets: History and Context, ACM TiiS 5(4). GroupLens allows neither
redistribution nor commercial use without permission: it is read where it is needed, and neither it nor
anything made from it belongs into a repository or a release.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from edgewise.errors import RefusedError
from edgewise.ids import ItemId
from hub.datasets.download import Download, PinnedFile, fetch, write_beside_and_rename
from hub.datasets.films import Film, FilmHistory, Person, Ratings

WHEEL: Final = PinnedFile(
    package="recbole",
    version="1.2.1",
    file_name="recbole-1.2.1-py3-none-any.whl",
    sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    size_bytes=2_130_151,
)
MovieLens: TypeAlias = FilmHistory
_FOLDER: Final = "recbole/dataset_example/ml-100k/"
_ARTICLE_LAST: Final = re.compile(
    r"(?P<rest>[^()]+), (?P<article>The|A|An|La|Le|Les|L'|Il|El|Der|Die|Das|Det)(?=$|\)| \()"
)


def load(cache: Path, *, download: Download | None = None) -> MovieLens:
    """943 visitors, 1,682 films, 100,000 ratings in the order of GroupLens' `u.data`.

    Raises:
        UnavailableError: neither cached nor downloadable.
        RefusedError: the wheel is not the pinned one.
    """
    wheel = fetch(WHEEL, cache, download=download)
    with zipfile.ZipFile(wheel) as members:
        interactions = list(_rows(members, "ml-100k.inter"))
        films = list(_rows(members, "ml-100k.item"))
        people = list(_rows(members, "ml-100k.user"))
    users = {user: user for user, *_ in people}  # one object per id instead of 100,000 strings
    items = {item: ItemId(item) for item, *_ in films}
    return FilmHistory(
        name="MovieLens 100k",
        simulated=False,
        ratings=Ratings(
            user=[users[row[0]] for row in interactions],
            item=[items[row[1]] for row in interactions],
            rating=np.array([row[2] for row in interactions], dtype=np.float32),
            time_s=np.array([row[3] for row in interactions], dtype=np.int64),
        ),
        items={items[item]: _film(title, year, genres) for item, title, year, genres in films},
        users={user: Person(int(age), gender, work) for user, age, gender, work, _zip in people},
    )


def interactions_file(cache: Path, *, download: Download | None = None) -> Path:
    """The ratings as the tab-separated file of the wheel, extracted into the cache.

    Its header is typed, `user_id:token item_id:token rating:float timestamp:float`.
    Raises as `load`.
    """
    place = cache / f"recbole-{WHEEL.version}" / "ml-100k.inter"
    if not place.is_file():
        with zipfile.ZipFile(fetch(WHEEL, cache, download=download)) as members:
            write_beside_and_rename(place, members.read(_FOLDER + place.name))
    return place


def _film(title: str, year: str, genres: str) -> Film:
    # The source writes `unkonwn` and, once, `V` where it knows no year.
    shown = _ARTICLE_LAST.sub(_article_first, title)
    return Film(shown, int(year) if year.isdigit() else None, tuple(g for g in genres.split() if g != "unknown"))


def _article_first(title: re.Match[str]) -> str:
    """`Full Monty, The` is how a catalogue sorts; a shop shows `The Full Monty`. Also inside brackets."""
    return f"{title['article']}{'' if title['article'].endswith(chr(39)) else ' '}{title['rest']}"


def _rows(members: zipfile.ZipFile, name: str) -> Iterator[list[str]]:
    try:
        file = members.open(_FOLDER + name)
    except KeyError as missing:
        raise RefusedError("wrong_file", f"{WHEEL.file_name} has no {_FOLDER}{name}") from missing
    with file, io.TextIOWrapper(file, encoding="utf-8", newline="\n") as lines:
        next(lines)
        for line in lines:
            yield line.rstrip("\n").split("\t")
