"""The edge's scorer: the only module here that knows ONNX Runtime.

A session is made from bytes, never from a path, so that a graph cannot reach for files beside it. One thread,
no spinning: a worker scores inside a request, and parallel workers are what uses the other cores. The memory
arena is off, because it never gives memory back when models are replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgewise.errors import EdgewiseError
from edgewise.score_job import Dtype

ONNX_DTYPES: dict[str, Dtype] = {
    "tensor(float)": "float32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
    "tensor(string)": "string",
}


class ScorerError(EdgewiseError):
    """A model cannot be loaded or did not answer with finite numbers; the caller degrades to its fallback."""


class OnnxScorer:
    """One model over one matrix: `x` float32 [N, F] to float32 [N] or [N, K] (`score`) or [N, W] (`attribute`).

    Not checked here: run `edge.scoring.onnx_gate.check_model` on bytes that were not checked before.
    """

    def __init__(self, model: bytes, *, outputs: int = 1) -> None:
        """Load a model that says `outputs` numbers of a row.

        Raises:
            ScorerError: ONNX Runtime refuses it, or it is not a model of one float32 matrix and one output.
        """
        self._width = outputs
        self._session = open_session(model)
        inputs, answers = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(answers) != 1:
            raise ScorerError(f"a model of {len(inputs)} inputs and {len(answers)} outputs; expected 1 and 1")
        shape = inputs[0].shape
        if inputs[0].type != "tensor(float)" or len(shape) != 2 or not isinstance(shape[1], int):  # noqa: PLR2004
            raise ScorerError(f"a model over {inputs[0].type} {shape}; expected a float32 matrix [N, F]")
        self._input: str = inputs[0].name
        self._outputs: list[str] = [answers[0].name]
        self._features: int = shape[1]

    @property
    def features(self) -> int:
        """F, the width of the matrix that the model takes."""
        return self._features

    def score(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of the rows, float32 (n,), or (n, K) of a model of K > 1 outputs; no row, no score.

        Raises:
            ScorerError: wrong width or dtype, a score that is not finite, or a failure of ONNX Runtime.
        """
        answer = self._run(matrix)
        if self._width > 1:
            if answer.shape != (len(matrix), self._width):
                raise ScorerError(f"scores of shape {answer.shape}; expected ({len(matrix)}, {self._width})")
        elif answer.ndim != 1:
            if answer.ndim != 2 or answer.shape[1] != 1:  # noqa: PLR2004  # [N, 1] is what converters write
                raise ScorerError(f"scores of shape {answer.shape}; expected ({len(matrix)},)")
            answer = answer[:, 0]
        return answer

    def attribute(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Path attributions of the rows, float32 (n, F + 1); the last column is the bias.

        Raises:
            ScorerError: as `score`, or the model is no attribution model.
        """
        answer = self._run(matrix)
        if answer.ndim != 2 or answer.shape[1] != self._features + 1:  # noqa: PLR2004
            raise ScorerError(f"attributions of shape {answer.shape}; expected (n, {self._features + 1})")
        return answer

    def _run(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        if matrix.ndim != 2 or matrix.shape[1] != self._features:  # noqa: PLR2004
            raise ScorerError(f"a matrix of shape {matrix.shape}; the model takes (n, {self._features})")
        if matrix.dtype != np.float32:
            raise ScorerError(f"a matrix of {matrix.dtype}; the model takes float32")
        answer: NDArray[np.float32] = run_session(self._session, self._outputs, {self._input: matrix})[0]
        if len(answer) != len(matrix):
            raise ScorerError(f"{len(answer)} scores for {len(matrix)} rows")
        if not np.isfinite(answer).all():
            raise ScorerError("a score is not finite")
        return answer


class TableScorer:
    """One model over named columns, as a scikit-learn pipeline exports it.

    Every input is [N, 1] (or a matrix [N, F]) of float32, int64, bool or strings.
    """

    def __init__(self, model: bytes) -> None:
        """Load a model.

        Raises:
            ScorerError: ONNX Runtime refuses it, or an input is of a type that is not scored here.
        """
        self._session = open_session(model)
        self.inputs: dict[str, Dtype] = {
            declared.name: _dtype(declared.name, declared.type) for declared in self._session.get_inputs()
        }
        self.outputs: list[str] = [declared.name for declared in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """All outputs by name.

        Raises:
            ScorerError: an input is missing, or ONNX Runtime fails.
        """
        missing = sorted(set(self.inputs) - set(inputs))
        if missing:
            raise ScorerError(f"no column {missing[0]!r}; the model takes {sorted(self.inputs)}")
        fed = {name: inputs[name] for name in self.inputs}
        return dict(zip(self.outputs, run_session(self._session, self.outputs, fed), strict=True))


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """A single-threaded session; reserved threads and pages are none.

    Raises:
        ScorerError: ONNX Runtime refuses the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        # Without `enable_fallback=0` a failure is printed to standard output and tried once more.
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as failed:
        # ONNX Runtime's exceptions share no base class but Exception.
        raise ScorerError(f"ONNX Runtime refuses the model: {_first_line(failed)}") from failed


def run_session(
    session: onnxruntime.InferenceSession, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]
) -> list[NDArray[Any]]:
    """The named outputs.

    Raises:
        ScorerError: ONNX Runtime fails.
    """
    try:
        answers: list[NDArray[Any]] = session.run(outputs, inputs)
    except Exception as failed:
        raise ScorerError(f"ONNX Runtime failed: {_first_line(failed)}") from failed
    return answers


def _dtype(name: str, declared: str) -> Dtype:
    if declared not in ONNX_DTYPES:
        raise ScorerError(f"input {name} is {declared}; expected {', '.join(sorted(ONNX_DTYPES))}")
    return ONNX_DTYPES[declared]


def _first_line(failed: Exception) -> str:
    return (str(failed) or type(failed).__name__).splitlines()[0]
