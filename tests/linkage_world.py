"""Invented people, each written down several times by careless hands; who is who is known."""

import csv
from pathlib import Path

import numpy as np

FIRST = """
Ada Bela Cora Dario Edda Falk Greta Hanno Ida Jonas Kaja Lars Mina Nils Olga Piet Rosa Sven Thea Udo Vera
Willem Xenia Yara Zeno
""".split()  # noqa: SIM905  # a screenful of quotes tells nobody more
LAST = """
Abendroth Brunner Castell Dornfeld Eichwald Fontane Gruber Hallstein Immhof Jungmann Kessler Lindqvist
Moorhead Niebuhr Oppermann Prinz Quandt Rosenow Stauffer Tiedemann Uhland Voss Wieland Zander
""".split()  # noqa: SIM905  # a screenful of quotes tells nobody more
CITIES = ["Aalborg", "Bergen", "Cadiz", "Delft", "Essen", "Ferrara", "Ghent", "Halle"]
COLUMNS = ("id", "first_name", "surname", "dob", "email", "city", "person")
Row = dict[str, str]


def population(people: int, *, seed: int, most_records: int = 4) -> list[Row]:
    """`id` counts from 0 within a person's rows; a third of the fields are lacking or hold a slip."""
    draw = np.random.default_rng(seed)
    rows: list[Row] = []
    for person in range(people):
        first, last = FIRST[draw.integers(len(FIRST))], LAST[draw.integers(len(LAST))]
        born = f"{draw.integers(1940, 2005)}-{draw.integers(1, 13):02}-{draw.integers(1, 29):02}"
        truth = {
            "first_name": first,
            "surname": last,
            "dob": born,
            "email": f"{first}.{last}{person}@mail{draw.integers(9)}.example".lower(),
            "city": CITIES[draw.integers(len(CITIES))],
        }
        for _ in range(int(draw.integers(1, most_records + 1))):
            written = {name: _written(value, draw) for name, value in truth.items()}
            rows.append({"id": str(len(rows)), **written, "person": str(person)})
    return rows


def _written(value: str, draw: np.random.Generator) -> str:
    fate = draw.random()
    if fate < 0.12:
        return ""
    if fate < 0.2:
        at = int(draw.integers(len(value)))
        return value[:at] + value[at + 1 :]
    if fate < 0.3:
        return f" {value.upper()} "
    return value


def write(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path
