"""MovieLens 100k as GroupLens describes it."""

import os
from collections import Counter
from pathlib import Path

import pytest
from real_data import movielens_100k

from edgewise.errors import RefusedError
from edgewise.ids import ItemId
from hub.datasets import movielens
from hub.datasets.download import PinnedFile, default_cache


def test_has_the_published_size_and_file_order() -> None:
    history = movielens_100k()
    assert (len(history.ratings), len(history.items), len(history.users)) == (100_000, 1_682, 943)
    ratings = history.ratings
    first = [(ratings.user[n], ratings.item[n], ratings.rating[n], ratings.time_s[n]) for n in range(2)]
    assert first == [("196", "242", 3.0, 881_250_949), ("186", "302", 3.0, 891_717_742)]
    assert not history.simulated


def test_every_visitor_rated_at_least_twenty_films() -> None:
    assert min(Counter(movielens_100k().ratings.user).values()) == 20


def test_stars_are_counted_as_published() -> None:
    stars = Counter(movielens_100k().ratings.rating.tolist())
    assert stars == {1.0: 6_110, 2.0: 11_370, 3.0: 27_145, 4.0: 34_174, 5.0: 21_201}


def test_every_id_is_described() -> None:
    history = movielens_100k()
    assert set(history.ratings.item) == set(history.items)
    assert set(history.ratings.user) == set(history.users)


def test_films_and_people_are_typed() -> None:
    history = movielens_100k()
    film = history.items[ItemId("1")]
    assert (film.title, film.year, film.genres) == ("Toy Story", 1995, ("Animation", "Children's", "Comedy"))
    assert (history.items[ItemId("267")].year, history.items[ItemId("267")].genres) == (None, ())
    assert history.items[ItemId("1412")].year is None
    assert history.items[ItemId("543")].title == "Les Misérables"
    assert history.items[ItemId("9")].title == "Dead Man Walking"
    titles = {film.title for film in history.items.values()}
    assert {
        "The Full Monty",
        "The Tin Drum (Die Blechtrommel)",
        "The Star Maker (L'Uomo delle stelle)",
        "Mrs. Brown (Her Majesty, Mrs. Brown)",
        "The Good, The Bad and The Ugly",
    } <= titles
    person = history.users["1"]
    assert (person.age, person.gender, person.occupation) == (24, "M", "technician")


def test_the_file_of_ratings_is_extracted_unchanged() -> None:
    movielens_100k()
    lines = movielens.interactions_file(default_cache(os.environ)).read_text().splitlines()
    assert lines[:2] == ["user_id:token\titem_id:token\trating:float\ttimestamp:float", "196\t242\t3\t881250949"]
    assert len(lines) == 100_001


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    def impostor(wanted: PinnedFile, folder: Path) -> None:
        (folder / wanted.file_name).write_bytes(b"PK")

    with pytest.raises(RefusedError, match="pinned"):
        movielens.load(tmp_path, download=impostor)
