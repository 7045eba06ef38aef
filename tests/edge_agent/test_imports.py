"""Who may load what: only the agent speaks gRPC, and only workers and trials hold ONNX Runtime."""

from __future__ import annotations

import subprocess
import sys

import pytest

TRAINERS = ("lightgbm", "sklearn", "pandas", "scipy", "onnx", "skl2onnx", "hub")


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("edge.worker.run", ("grpc", *TRAINERS)),
        ("edge.serve", ("grpc", "onnxruntime", "starlette", "granian", "lmdb", *TRAINERS)),
        ("edge.agent.run", ("onnxruntime", "starlette", "granian", *TRAINERS)),
        ("edge.child", ("grpc", "onnxruntime", "starlette", "numpy", *TRAINERS)),
    ],
)
def test_a_process_loads_only_what_it_is_for(module: str, never: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*sorted(set({never!r}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []
