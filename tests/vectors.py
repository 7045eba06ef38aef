"""Conformance vectors of other projects, in the folder that lies beside the checkout: read there, never copied."""

import os
from pathlib import Path
from typing import Final

from needs import lacking

VARIABLE: Final = "EDGEWISE_VECTORS"


def vector(name: str) -> Path:
    """A file of `$EDGEWISE_VECTORS`, else of ../shared/vectors; skips in one line, and fails under CI."""
    beside = Path(__file__).parents[2] / "shared" / "vectors"
    found = Path(os.environ.get(VARIABLE, beside)) / name
    if not found.is_file():
        lacking(f"needs {name} in ${VARIABLE} or ../shared/vectors")
    return found
