"""What scoring a table came to, as a page: how the scores lie, what was missing, how long it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from hub.report_page import Bar, Line, bars, heading, in_table, lines, page, sentence

LEVELS: Final = tuple(number / 20 for number in range(21))
"""Shares of the rows at which a distribution is told."""
_SHOWN: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_MOST_LINES: Final = 4
_MOST_COLUMNS: Final = 30


class Distribution(msgspec.Struct, frozen=True):
    """How the values of one output lie."""

    mean: float
    quantiles: list[float]
    """At 0, 0.05, …, 1."""

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> Distribution:
        """Of at least one value."""
        exact = values.astype(np.float64)
        return cls(float(exact.mean()), np.quantile(exact, LEVELS).tolist())


def score_page(
    title: str,
    said: Sequence[str],
    distributions: Mapping[str, Distribution],
    missing: Mapping[str, float],
) -> str:
    """`said` are sentences about the run; `missing` is the share of empty cells by column that the model reads."""
    shown = list(distributions.items())[:_MOST_LINES]
    parts = [sentence(one) for one in said]
    parts += [
        heading("How the scores lie"),
        lines(
            "Score below which a share of the rows lies",
            "share of the rows",
            "score",
            [Line(name, list(zip(LEVELS, found.quantiles, strict=True))) for name, found in shown],
        ),
        in_table(
            ["", "mean", *(f"{level:.0%}" for level in _SHOWN)],
            [
                [name, f"{found.mean:.4g}", *(f"{found.quantiles[LEVELS.index(level)]:.4g}" for level in _SHOWN)]
                for name, found in distributions.items()
            ],
        ),
    ]
    holes = sorted(((name, share) for name, share in missing.items() if share), key=lambda pair: -pair[1])
    parts.append(heading("What was missing"))
    if not holes:
        parts.append(sentence("No cell that the model reads was empty."))
    else:
        parts.append(bars("Share of empty cells by column", [Bar(*hole) for hole in holes[:_MOST_COLUMNS]]))
        parts.append(in_table(["column", "empty"], [[name, f"{share:.2%}"] for name, share in holes]))
    return page(title, *parts)
