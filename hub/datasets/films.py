"""What a film data set holds, real or simulated: who rated which film when, and what each film is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgewise.ids import ItemId


@dataclass(frozen=True, slots=True)
class Ratings:
    """One row per rating, in the order of the source's file; all columns have the same length."""

    user: list[str]
    item: list[ItemId]
    rating: npt.NDArray[np.float32]
    """1 to 5 stars."""
    time_s: npt.NDArray[np.int64]
    """Seconds since the Unix epoch; many ratings share a second, so the file order breaks ties."""

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True, slots=True)
class Film:
    """A film as a shop would list it."""

    title: str
    year: int | None
    """Year of release; None where the source does not know it."""
    genres: tuple[str, ...]
    """In the source's order; empty where the source does not know any."""


@dataclass(frozen=True, slots=True)
class Person:
    """What the source tells about a visitor."""

    age: int
    gender: str
    """`F` or `M`, as the source writes it."""
    occupation: str


@dataclass(frozen=True, slots=True)
class FilmHistory:
    """A film data set. Every item and user of `ratings` is a key of `items` and `users`."""

    name: str
    """For people: where the rows come from."""
    simulated: bool
    """True when no person stands behind the rows; whoever shows a number made from them must say so."""
    ratings: Ratings
    items: dict[ItemId, Film]
    users: dict[str, Person]
