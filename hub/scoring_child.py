"""The hub's end of the pipe to the edge's scorer: models run only there, in a child process under limits."""

from __future__ import annotations

import contextlib
import hashlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from edgewise.errors import ModelRefused, UnavailableError
from edgewise.score_job import (
    LENGTH_BYTES,
    Answer,
    Job,
    Load,
    Loaded,
    Ran,
    Refused,
    Run,
    body_length,
    decode_answer,
    encode,
    to_array,
    to_tensor,
)
from hub.processes import last_words

MEMORY_BYTES = 3 << 30
"""Address space, of which ONNX Runtime and NumPy map about half a gigabyte before any model."""
CPU_SECONDS_PER_JOB = 120
DEADLINE_S = 300.0
MOST_MODEL_BYTES = 64 << 20
ROWS_PER_RUN = 20_000
"""Bigger matrices are sent in parts, so that neither side holds two copies of a big table."""


class Latency(NamedTuple):
    """How long runs took, in milliseconds, and the most memory that the scorer has held so far."""

    p50_ms: float
    p99_ms: float
    peak_memory_bytes: int


class ScoringChild:
    """A scorer process, started by `with` and ended by it.

    Every method raises `ModelRefused` when the gate or ONNX Runtime refuses the model, when the model hits a
    limit, or when it takes the scorer down (`scorer-died`); the next call starts a new scorer.
    """

    def __init__(
        self,
        *,
        memory_bytes: int = MEMORY_BYTES,
        cpu_seconds_per_job: int = CPU_SECONDS_PER_JOB,
        deadline_s: float = DEADLINE_S,
        most_model_bytes: int = MOST_MODEL_BYTES,
    ) -> None:
        self._memory_bytes = memory_bytes
        self._cpu_seconds_per_job = cpu_seconds_per_job
        self._deadline_s = deadline_s
        self._most_model_bytes = most_model_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: BinaryIO | None = None
        self._loaded: dict[str, Loaded] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def process_id(self) -> int | None:
        """Of the running scorer; None before the first model and after the end."""
        return self._process.pid if self._process is not None else None

    def score(self, model: bytes, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of a matrix, float32 (n, F) to (n,), or (n, W) for a model of W outputs."""
        parts = [
            self._one_output(model, matrix[start : start + ROWS_PER_RUN])
            for start in range(0, max(len(matrix), 1), ROWS_PER_RUN)
        ]
        return np.concatenate(parts)

    def latency(self, model: bytes, matrix: NDArray[np.float32], *, repeat: int) -> Latency:
        """Time of `repeat` runs over the whole matrix, after one that is not counted."""
        key, loaded = self._ensure(model, matrix.shape[1])
        inputs = [to_tensor(next(iter(loaded.inputs)), matrix)]
        ran = self._run(Run(key, inputs, repeat=repeat), model, matrix.shape[1])
        p50, p99 = np.percentile(np.array(ran.seconds[1:] or ran.seconds) * 1e3, [50, 99])
        return Latency(float(p50), float(p99), ran.peak_memory_bytes)

    def describe(self, model: bytes) -> Loaded:
        """Inputs, outputs and metadata of a model of named columns."""
        return self._ensure(model, None)[1]

    def run_columns(self, model: bytes, columns: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], float]:
        """All outputs of a model of named columns for one batch of rows, and the seconds it took.

        Each column is (n, 1), or (n, k) where the model takes a matrix.
        """
        key, loaded = self._ensure(model, None)
        inputs = [to_tensor(name, columns[name]) for name in loaded.inputs if name in columns]
        ran = self._run(Run(key, inputs), model, None)
        return {tensor.name: to_array(tensor) for tensor in ran.outputs}, ran.seconds[0]

    def close(self) -> None:
        """End the scorer; safe to repeat."""
        process, self._process = self._process, None
        self._loaded = {}
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _one_output(self, model: bytes, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        key, loaded = self._ensure(model, matrix.shape[1])
        inputs = [to_tensor(next(iter(loaded.inputs)), matrix)]
        ran = self._run(Run(key, inputs), model, matrix.shape[1])
        return cast("NDArray[np.float32]", to_array(ran.outputs[0]))

    def _ensure(self, model: bytes, features: int | None) -> tuple[str, Loaded]:
        """Load a model once for each width it is asked for."""
        key = f"{hashlib.sha256(model).hexdigest()}:{features}"
        if key not in self._loaded:
            answer = self._ask(Load(key, model, features, self._most_model_bytes))
            if not isinstance(answer, Loaded):
                raise _unexpected(answer)
            self._loaded[key] = answer
        return key, self._loaded[key]

    def _run(self, job: Run, model: bytes, features: int | None) -> Ran:
        answer = self._ask(job)
        if isinstance(answer, Refused) and answer.code == "not-loaded":  # pushed out by other models
            del self._loaded[job.key]
            self._ensure(model, features)
            answer = self._ask(job)
        if not isinstance(answer, Ran):
            raise _unexpected(answer)
        return answer

    def _ask(self, job: Job) -> Answer:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(encode(job))
            process.stdin.flush()
            deadline = time.monotonic() + self._deadline_s
            length = body_length(_read(process.stdout, LENGTH_BYTES, deadline))
            return decode_answer(_read(process.stdout, length, deadline))
        except (BrokenPipeError, EOFError):
            raise self._died(process) from None
        except TimeoutError:
            process.kill()
            self.close()
            raise ModelRefused("scorer-timeout", f"the scorer did not answer within {self._deadline_s:g} s") from None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None:
            return self._process
        self._errors = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115  # closed by close()
        command = [sys.executable, "-m", "edge.scoring.child"]
        limits = [str(self._memory_bytes), str(self._cpu_seconds_per_job)]
        try:
            self._process = subprocess.Popen(
                command + limits,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        except OSError as failed:
            raise UnavailableError(f"cannot start a scorer ({' '.join(command)}): {failed}") from failed
        return self._process

    def _died(self, process: subprocess.Popen[bytes]) -> ModelRefused:
        code = process.wait()
        assert self._errors is not None
        self._errors.seek(0)
        errors = self._errors.read()
        self.close()
        how = f"exit code {code}"
        if code == -signal.SIGXCPU:
            how = f"used up its {self._cpu_seconds_per_job} s of processor time"
        elif code < 0:
            how = signal.Signals(-code).name
        said = f": {last_words(errors)}" if errors.strip() else ""
        return ModelRefused("scorer-died", f"the scorer died of this model ({how}){said}")


def scorer(child: ScoringChild | None) -> AbstractContextManager[ScoringChild]:
    """The given child, which its owner ends, or one of our own, which ends with the `with` block."""
    return ScoringChild() if child is None else contextlib.nullcontext(child)


def _read(pipe: Any, size: int, deadline: float) -> bytes:
    """Exactly `size` bytes from a pipe, by polling it until the deadline."""
    held = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while len(held) < size:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            part = os.read(pipe.fileno(), min(size - len(held), 1 << 20))
            if not part:
                raise EOFError
            held += part
    return bytes(held)


def _unexpected(answer: Answer) -> ModelRefused:
    if isinstance(answer, Refused):
        return ModelRefused(answer.code, answer.message)
    return ModelRefused("scorer", f"the scorer answered {type(answer).__name__} out of turn")
