"""The edge's scorer as a child process: `python -m edge.scoring.child`, jobs in, answers out.

The hub starts it to run models that nobody vouches for yet. So it runs under limits: an address space that a
memory bomb hits before the machine does, and processor time anew for each job. Jobs and answers are the frames
of `edgewise.score_job` on standard input and output, until the input ends.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import BinaryIO

from edgewise.errors import EdgewiseError, InputError, ModelRefused
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
    decode_job,
    encode,
    to_array,
    to_tensor,
)

MOST_MODELS = 32
"""Sessions kept; the one that was loaded first goes first."""
USAGE = "python -m edge.scoring.child MEMORY_BYTES CPU_SECONDS_PER_JOB"


def main(arguments: list[str]) -> int:
    """Serve jobs until the input ends."""
    if len(arguments) != 2 or not all(argument.isdecimal() for argument in arguments):  # noqa: PLR2004
        sys.stderr.write(f"usage: {USAGE}\n")
        return 2
    memory_bytes, cpu_seconds = int(arguments[0]), int(arguments[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing that a library prints may get between the frames
    try:
        serve(sys.stdin.buffer, answers, cpu_seconds)
    except InputError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 1
    return 0


def serve(jobs: BinaryIO, answers: BinaryIO, cpu_seconds: int) -> None:
    """Answer each job in order; `cpu_seconds` is what one job may use before the kernel ends the process."""
    desk = Desk()
    while prefix := jobs.read(LENGTH_BYTES):
        _renew_cpu_limit(cpu_seconds)
        body = jobs.read(body_length(prefix))
        answers.write(encode(desk.answer(decode_job(body))))
        answers.flush()


def _renew_cpu_limit(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


class Desk:
    """The loaded models, and what is done with a job."""

    def __init__(self) -> None:
        # ONNX Runtime is imported under the limits, and only once a job is sure to come.
        from edge.scoring.scorer import TableScorer

        self._open = TableScorer
        self._models: dict[str, TableScorer] = {}

    def answer(self, job: Job) -> Answer:
        """Do one job; whatever goes wrong with a model is an answer, too."""
        try:
            return self._load(job) if isinstance(job, Load) else self._run(job)
        except ModelRefused as refused:
            return Refused(refused.code, refused.message)
        except InputError as wrong:
            return Refused("input", str(wrong))
        except EdgewiseError as failed:
            code = "memory" if "bad_alloc" in str(failed) or "allocate" in str(failed) else "scorer"
            return Refused(code, str(failed))
        except MemoryError:
            return Refused("memory", "the model needs more memory than the scorer may use")

    def _load(self, job: Load) -> Answer:
        from edge.scoring.onnx_gate import check_model

        summary = check_model(job.model, features=job.features, max_bytes=job.most_bytes)
        opened = self._open(job.model)
        while len(self._models) >= MOST_MODELS:
            del self._models[next(iter(self._models))]
        self._models[job.key] = opened
        return Loaded(inputs=opened.inputs, outputs=opened.outputs, metadata=summary.metadata)

    def _run(self, job: Run) -> Answer:
        model = self._models.get(job.key)
        if model is None:
            return Refused("not-loaded", f"no model {job.key}; load it first")
        inputs = {tensor.name: to_array(tensor) for tensor in job.inputs}
        seconds: list[float] = []
        outputs = {}
        for _ in range(1 + max(job.repeat, 0)):
            start = time.perf_counter()
            outputs = model.run(inputs)
            seconds.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in kilobytes
        return Ran(
            outputs=[to_tensor(name, values) for name, values in outputs.items()],
            seconds=seconds,
            peak_memory_bytes=peak,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
