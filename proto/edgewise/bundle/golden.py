"""golden.msgpack: rows with the scores that the trained model gave, checked on every node before a swap."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from edgewise.ids import ModelName

RELATIVE_TOLERANCE = 1e-5
"""A score may differ by this times max(1, |y|), not by more."""


class GoldenRows(msgspec.Struct, frozen=True, omit_defaults=True):
    """float32 (rows, features) and float64 (rows, outputs), little endian, row-major."""

    rows: int
    features: int
    matrix: bytes
    scores: bytes
    outputs: int = 1


class Golden(msgspec.Struct, frozen=True):
    """One set of rows a model."""

    models: dict[ModelName, GoldenRows]


_decoder = msgspec.msgpack.Decoder(Golden)


def golden_rows(matrix: npt.NDArray[np.float32], scores: npt.NDArray[np.float64]) -> GoldenRows:
    """Packs rows and expected scores, (rows,) or (rows, outputs)."""
    rows, features = matrix.shape
    outputs = 1 if scores.ndim == 1 else scores.shape[1]
    return GoldenRows(rows, features, matrix.astype("<f4").tobytes(), scores.astype("<f8").tobytes(), outputs)


def unpack(golden: GoldenRows) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Rows and scores, (rows,) of a model of one output, else (rows, outputs).

    Raises ValueError when sizes and bytes disagree.
    """
    matrix = np.frombuffer(golden.matrix, "<f4")
    scores = np.frombuffer(golden.scores, "<f8")
    if len(matrix) != golden.rows * golden.features or len(scores) != golden.rows * golden.outputs:
        raise ValueError(f"golden rows: {golden.rows} x {golden.features} announced, bytes hold others")
    if golden.outputs != 1:
        scores = scores.reshape(golden.rows, golden.outputs)
    return matrix.reshape(golden.rows, golden.features), scores


def worst_error(expected: npt.NDArray[np.float64], got: npt.NDArray[np.float32]) -> float:
    """Largest |got - expected| / max(1, |expected|); NaN counts as infinite unless both are NaN.

    Shapes that differ are infinitely far apart: broadcasting would compare rows with other rows.
    """
    if expected.shape != got.shape:
        return float("inf")
    both_nan = np.isnan(expected) & np.isnan(got)
    with np.errstate(invalid="ignore"):
        error = np.abs(got.astype(np.float64) - expected) / np.maximum(1.0, np.abs(expected))
    error = np.where(both_nan, 0.0, np.where(np.isnan(error), np.inf, error))
    return float(error.max(initial=0.0))


def encode_golden(golden: Golden) -> bytes:
    """Bytes of the resource."""
    return msgspec.msgpack.encode(golden)


def decode_golden(data: bytes) -> Golden:
    """Raises `msgspec.ValidationError` with the path of what is wrong."""
    return _decoder.decode(data)
