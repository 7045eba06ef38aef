"""An invented table of shop visits with something to learn, for the tests of `train scoring` and `score onnx`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

PLACES = np.array(["north", "south", "östlich, fern", None], dtype=object)


def visits(count: int = 600, seed: int = 0) -> pa.Table:
    """One row a visit; `bought` depends on pages, place and weekend, the rest is noise."""
    rng = np.random.default_rng(seed)
    pages = rng.integers(0, 30, size=count)
    place = PLACES[rng.integers(0, 4, size=count)]
    weekend = rng.random(count) < 0.3
    seconds = np.round(rng.exponential(60.0, size=count), 2)
    wish = pages / 10 - 1.5 + (place == "north") + weekend + rng.normal(size=count)
    return pa.table(
        {
            "pages": pa.array(pages),
            "seconds": pa.array(seconds, mask=rng.random(count) < 0.1),
            "place": pa.array(place, type=pa.string()),
            "weekend": pa.array(weekend),
            "code": pa.array(rng.integers(100, 105, size=count)),
            "day": pa.array(np.arange(count) // 20),
            "bought": pa.array(wish > 0),
            "orders": pa.array(rng.poisson(np.exp(np.clip(wish / 2, -3, 2)))),
            "spent": pa.array(np.exp(wish)),
            "mood": pa.array(np.array(["bad", "fair", "good"])[np.digitize(wish, [-0.5, 0.8])]),
        }
    )


OUTCOMES = ("bought", "orders", "spent", "mood")


def written(folder: Path, table: pa.Table, name: str = "visits.csv") -> Path:
    """The table as CSV or Parquet, by the ending."""
    path = folder / name
    parquet.write_table(table, path) if path.suffix == ".parquet" else csv.write_csv(table, path)
    return path


def with_column(table: pa.Table, name: str, values: object) -> pa.Table:
    """The table with one column more, or another in its place."""
    column = values if isinstance(values, pa.Array) else pa.array(values)
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)
