"""Scenarios that live in the test lab: they run from a checkout, by the test runner, and tell their counts in a line.

The lab simulates hub and node in one process, which neither of their packages may do, so it is not installed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from edgewise.errors import UnavailableError
from hub.prove.lab import Lab, NotHereError

ROOT: Final = Path(__file__).resolve().parents[2]
_FAILED: Final = re.compile(r"(\d+) (?:failed|error)")
_SUMMARY_LINES: Final = 3


class Lived(NamedTuple):
    """What came of a test module."""

    failed: int
    told: str
    """What its tests printed."""


def live_through(lab: Lab, module: str, wanted: str, *, most_s: float) -> Lived:
    """Run those tests of `tests/MODULE` whose names contain `wanted`.

    Raises:
        NotHereError: there is no checkout, or no test runner.
        UnavailableError: the runner itself failed, or did not end in time.
    """
    file = ROOT / "tests" / module
    if not file.is_file() or importlib.util.find_spec("pytest") is None:
        raise NotHereError("runs from a checkout with its test tools only (`make setup`): its lab is not installed")
    words = [
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "-m",
        "slow or not slow",
        "-k",
        wanted,
        "--timeout",
        str(int(most_s)),
    ]
    folder = ["--basetemp", str(lab.folder / "pytest")]
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", *words, *folder, str(file)],
            cwd=ROOT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=most_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{module} did not end within {most_s:.0f} s") from None
    (lab.folder / "pytest.log").write_text(ended.stdout + ended.stderr, "utf-8")
    if ended.returncode not in {0, 1}:
        raise UnavailableError(f"{module} could not be run: {' '.join(ended.stdout.splitlines()[-_SUMMARY_LINES:])}")
    failed = _FAILED.search(ended.stdout.splitlines()[-1]) if ended.stdout else None
    return Lived(int(failed[1]) if failed else 0, ended.stdout)
