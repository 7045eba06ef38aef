"""Parity of an exported pipeline, on rows of the table that it reads: see `hub.parity` for why these rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.export.forest import MEMBER, read_forest
from hub.export.sklearn import input_name
from hub.parity import FEWEST_ROWS, Parity, compare, parity_rows
from hub.scoring_child import ROWS_PER_RUN, ScoringChild
from hub.train.scoring.columns import Cells, Column
from hub.train.scoring.pipelines import Examples, predict

MOST_BASE_ROWS = 50_000
NEVER_SEEN = "\N{WHITE QUESTION MARK ORNAMENT} never seen"
"""A word that no training row holds: words are printable, and this one says what it is."""


def check_table_parity(pipeline: Any, examples: Examples, model: bytes, *, child: ScoringChild, seed: int) -> Parity:
    """Compare a pipeline, fitted on the examples, with its export.

    Raises:
        ModelRefused: `parity` if a row differs by more than 1e-5 * max(1, |y|), or whatever refused the model.
    """
    rng = np.random.default_rng(seed)
    rows = examples.rows
    base = rows if len(rows) <= MOST_BASE_ROWS else rows[rng.choice(len(rows), MOST_BASE_ROWS, replace=False)]
    tried, thresholds = _rows_to_try(pipeline, examples.columns, base, rng)
    served = []
    for start in range(0, len(tried), ROWS_PER_RUN):
        part = as_inputs(examples.columns, tried[start : start + ROWS_PER_RUN])
        served.append(child.run_columns(model, part)[0]["score"])
    return compare(predict(pipeline, examples.kind, tried), np.concatenate(served), thresholds=thresholds)


def as_inputs(columns: Sequence[Column], rows: Cells) -> dict[str, NDArray[Any]]:
    """Rows as the named inputs [N, 1] of an exported pipeline."""
    return {
        input_name(column.name): rows[:, [index]].astype(np.float32 if column.kind == "number" else object)
        for index, column in enumerate(columns)
    }


def _rows_to_try(pipeline: Any, columns: Sequence[Column], base: Cells, rng: np.random.Generator) -> tuple[Cells, int]:
    final = pipeline.named_steps["model"]
    if hasattr(final, "booster_"):
        forest = read_forest(final.booster_)
        encoded = pipeline.named_steps["columns"].transform(base).astype(np.float32)
        tried = parity_rows(forest, encoded, seed=int(rng.integers(2**32)))
        thresholds = int((forest.mode != MEMBER).sum())
        return np.concatenate([base, _decoded(pipeline, columns, tried)]), thresholds
    # No thresholds in a linear model: the rows themselves, then with holes and unknown words.
    odd = base[rng.integers(0, len(base), size=max(FEWEST_ROWS - len(base), 2_000))]
    holes = rng.random(odd.shape) < 0.2  # noqa: PLR2004  # a fifth
    for index, column in enumerate(columns):
        odd[holes[:, index], index] = np.nan if column.kind == "number" else NEVER_SEEN
    return np.concatenate([base, odd]), 0


def _decoded(pipeline: Any, columns: Sequence[Column], encoded: NDArray[np.float32]) -> Cells:
    """Encoded rows as table rows; codes that stand for no word become a word that nobody has seen."""
    rows = encoded.astype(object)
    words = [index for index, column in enumerate(columns) if column.kind == "text"]
    if words:
        encoder = pipeline.named_steps["columns"].named_transformers_["words"]
        for index, categories in zip(words, encoder.categories_, strict=True):
            names = np.array([*categories, NEVER_SEEN], dtype=object)
            code = encoded[:, index]
            known = (code >= 0) & (code < len(categories)) & (code % 1 == 0)
            rows[:, index] = names[np.where(known, np.nan_to_num(code, nan=0.0), len(categories)).astype(np.int64)]
    return rows
