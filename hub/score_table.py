"""Score a table with an exported model, exactly as an edge does: its scorer, its gate, float32 all the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.errors import MALFORMED, InputError, ModelRefused
from hub.origin import Origin
from hub.score_page import Distribution
from hub.scoring_child import ScoringChild, scorer
from hub.tables import read_content, read_table, require_columns
from hub.topics.model import PARTS
from hub.topics.words import counts
from hub.train.scoring.columns import Cells, Column, cells

MOST_BATCH_ROWS = 100_000
SCORE = "score"
MATRIX_INPUT = "x"


class ModelColumn(msgspec.Struct, frozen=True):
    """A column that a pipeline reads, as its metadata lists it."""

    name: str
    input: str
    kind: str


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """What was scored and how fast; the JSON of `score onnx`."""

    rows: int
    columns: list[str]
    """Of the output: the kept ones, then `score`, or one for each class."""
    seconds: float
    """In the scorer alone."""
    batch_rows: int
    p50_ms: float
    """Of a batch."""
    p99_ms: float
    scores: dict[str, Distribution]
    """How they lie, by column of the output."""
    missing: dict[str, float]
    """Share of empty cells, by column that the model reads."""
    out: str


class _Reading(NamedTuple):
    """How a model wants its table."""

    columns: tuple[Column, ...]
    inputs: tuple[str, ...]
    """One for each column; the same for all where the model reads one matrix."""
    classes: tuple[str, ...]
    is_matrix: bool
    parts: Mapping[str, int] | None = None
    """Part of a text -> the column of the matrix that counts it; None: the model reads no text as a whole."""


def score_table(
    model: Path,
    table: Path,
    out: Path,
    *,
    keep: Sequence[str] = (),
    batch_rows: int = 100,
    delimiter: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    child: ScoringChild | None = None,
) -> Scored:
    """Score every row of a table, in its order, and write the scores as CSV; `keep` columns are copied.

    `progress` is told how many rows of how many are done; `child` is a scorer to use instead of a new one.

    Raises:
        InputError: the table lacks a column that the model reads, or holds a word where it reads a number.
        ModelRefused: the file is no model of a table, or the gate or the scorer refuses it.
    """
    if not 0 < batch_rows <= MOST_BATCH_ROWS:
        raise InputError(f"batches of {batch_rows} rows; expected 1 to {MOST_BATCH_ROWS}")
    data = read_content(model)
    with scorer(child) as running:
        try:
            described = running.describe(data)
        except ModelRefused as refused:
            why = str(refused).removeprefix("model: ")
            raise ModelRefused(refused.code, f"{model}: not a model that an edge would load: {why}") from None
        reading = _reading(model, dict(described.inputs), described.metadata)
        words = [column.name for column in reading.columns if column.kind == "text"]
        read = read_table(table, delimiter=delimiter, text=words)
        require_columns(read, [*(column.name for column in reading.columns), *keep], where=str(table))
        rows = cells(read, reading.columns, Origin.of(table, read.num_rows))
        scores: list[NDArray[np.float32]] = []
        seconds: list[float] = []
        for start in range(0, len(rows), batch_rows):
            answer, spent = running.run_columns(data, _fed(reading, rows[start : start + batch_rows]))
            scores.append(answer[SCORE])
            seconds.append(spent)
            progress(min(start + batch_rows, len(rows)), len(rows))
    if not scores:
        raise InputError(f"{table}: holds no row")
    written = _named(np.concatenate(scores), reading.classes)
    columns = _write(out, written, {name: read.column(name) for name in keep})
    p50, p99 = np.percentile(np.array(seconds) * 1e3, [50, 99])
    return Scored(
        rows=len(rows),
        columns=columns,
        seconds=float(np.sum(seconds)),
        batch_rows=batch_rows,
        p50_ms=float(p50),
        p99_ms=float(p99),
        scores={name: Distribution.of(values) for name, values in written.items()},
        missing=_missing(reading.columns, rows),
        out=str(out),
    )


def _reading(path: Path, inputs: dict[str, str], metadata: dict[str, str]) -> _Reading:
    """What the metadata of an export says about its columns, checked against the model's inputs."""
    try:
        classes = tuple(msgspec.json.decode(metadata.get("edgewise.classes", "[]"), type=list[str]))
        if PARTS in metadata:
            parts = msgspec.json.decode(metadata[PARTS], type=list[str])
            text = (Column(msgspec.json.decode(metadata["edgewise.text"], type=str), "text"),)
            counted = {part: column for column, part in enumerate(parts)}
            reading = _Reading(text, (MATRIX_INPUT,), classes, is_matrix=True, parts=counted)
        elif "edgewise.columns" in metadata:
            listed = msgspec.json.decode(metadata["edgewise.columns"], type=list[ModelColumn])
            columns = tuple(Column(held.name, "text" if held.kind == "text" else "number") for held in listed)
            reading = _Reading(columns, tuple(held.input for held in listed), classes, is_matrix=False)
        else:
            names = msgspec.json.decode(metadata["edgewise.features"], type=list[str])
            columns = tuple(Column(name, "number") for name in names)
            reading = _Reading(columns, (MATRIX_INPUT,) * len(names), classes, is_matrix=True)
    except (KeyError, *MALFORMED) as wrong:
        raise ModelRefused(
            "metadata", f"{path}: does not say which columns it reads (edgewise.columns or edgewise.features): {wrong}"
        ) from None
    absent = sorted(set(inputs) - set(reading.inputs))
    if absent:
        raise ModelRefused("metadata", f"{path}: its input {absent[0]!r} belongs to none of the columns it lists")
    return reading


def _fed(reading: _Reading, rows: Cells) -> dict[str, NDArray[Any]]:
    if reading.parts is not None:
        return {MATRIX_INPUT: counts(rows[:, 0].tolist(), reading.parts)}
    if reading.is_matrix:
        return {MATRIX_INPUT: rows.astype(np.float32)}
    return {
        name: rows[:, [index]].astype(np.float32 if column.kind == "number" else object)
        for index, (column, name) in enumerate(zip(reading.columns, reading.inputs, strict=True))
    }


def _missing(columns: Sequence[Column], rows: Cells) -> dict[str, float]:
    """A number that is NaN and a text that is empty are missing."""
    return {
        column.name: float(
            (rows[:, index] == "").mean()
            if column.kind == "text"
            else np.isnan(rows[:, index].astype(np.float64)).mean()
        )
        for index, column in enumerate(columns)
    }


def _named(scores: NDArray[np.float32], classes: tuple[str, ...]) -> dict[str, NDArray[np.float32]]:
    """`score`, or `score_CLASS` for each class."""
    if scores.ndim == 1:
        return {SCORE: scores}
    names = classes if len(classes) == scores.shape[1] else tuple(map(str, range(scores.shape[1])))
    return {f"{SCORE}_{name}": scores[:, index] for index, name in enumerate(names)}


def _write(out: Path, written: Mapping[str, NDArray[np.float32]], kept: dict[str, Any]) -> list[str]:
    import pyarrow as pa
    from pyarrow import csv

    columns = kept | {name: pa.array(values) for name, values in written.items()}
    try:
        csv.write_csv(pa.table(columns), out)
    except OSError as failed:
        raise InputError(f"{out}: cannot be written: {failed}") from None
    return list(columns)
