"""A new bundle is tried before it may serve, by a child: `python -m edge.agent.trial --folder DIR --digest HEX …`.

A signature says who made a bundle, not that it is harmless: 144 bytes of ONNX can take gigabytes while they load. So
the child runs under limits, loads everything with the code that the workers will use, and scores the golden rows.
If it dies, nothing else does. It prints one JSON object: `{"code": "", "message": ""}` for a good bundle.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from edgewise.errors import BundleRefused, EdgewiseError, RefusedError

if TYPE_CHECKING:
    from edgewise.admission.load import LoadedModel
    from edgewise.bundle.golden import GoldenRows
    from edgewise.ids import ModelName

REFUSED: Final = 3
NICENESS: Final = 10
"""Visitors come first: what they ask meanwhile gets nine times the processor time of a trial beside it."""


class Verdict(msgspec.Struct, frozen=True):
    """What the child says; an empty code is a good bundle."""

    code: str = ""
    message: str = ""


def main(arguments: Sequence[str]) -> int:
    """Try one bundle of a node's store."""
    parser = argparse.ArgumentParser(prog="python -m edge.agent.trial")
    parser.add_argument("--folder", type=Path, required=True, help="data folder of the node")
    parser.add_argument("--digest", required=True)
    parser.add_argument("--memory-bytes", type=int, required=True)
    parser.add_argument("--cpu-seconds", type=int, required=True)
    options = parser.parse_args(arguments)
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (options.memory_bytes, options.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (options.cpu_seconds, options.cpu_seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        try_bundle(options.folder, options.digest)
        verdict = Verdict()
    except RefusedError as refused:
        verdict = Verdict(refused.code, refused.message)
    except MemoryError:
        verdict = Verdict("memory", f"the bundle needs more than {options.memory_bytes} bytes to load")
    except EdgewiseError as failed:
        verdict = Verdict("scorer", str(failed))
    sys.stdout.write(msgspec.json.encode(verdict).decode() + "\n")
    return REFUSED if verdict.code else 0


def try_bundle(folder: Path, digest: str) -> None:
    """Load a bundle as a worker does, check its models, and score its golden rows.

    Raises:
        RefusedError: what is wrong with it.
        ScorerError: ONNX Runtime refuses a model, or a score is not finite.
    """
    # Imported under the limits.
    from edge.node.bundles import BundleStore
    from edge.node.layout import NodePaths
    from edgewise.admission.load import load_bundle

    bundle = load_bundle(*BundleStore(NodePaths(folder)).read(digest))
    for name, model in bundle.models.items():
        _try_model(name, model, bundle.golden.models[name])


def _try_model(name: ModelName, model: LoadedModel, golden: GoldenRows) -> None:
    from edge.scoring.onnx_gate import check_model
    from edge.scoring.scorer import OnnxScorer
    from edgewise.bundle.golden import RELATIVE_TOLERANCE, unpack, worst_error

    width = len(model.entry.features)
    check_model(model.onnx, features=width)
    rows, expected = unpack(golden)
    error = worst_error(expected, OnnxScorer(model.onnx, outputs=model.entry.outputs).score(rows))
    if not error <= RELATIVE_TOLERANCE:
        raise BundleRefused(
            "golden_mismatch", f"model {name} differs from its golden scores by {error:.3g} x max(1, |y|)"
        )
    if model.attribution is not None:
        check_model(model.attribution, features=width)
        OnnxScorer(model.attribution).attribute(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
