"""What the README tells people to type exists as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typed_commands import typed_in_backticks, typed_in_blocks, unknown_flags

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TYPED = [line for line in [*typed_in_blocks(README), *typed_in_backticks(README)] if line.startswith("edgewise")]


@pytest.mark.parametrize("typed", TYPED)
def test_commands_and_their_flags_exist(typed: str) -> None:
    assert unknown_flags(typed) == set()


def test_make_targets_exist() -> None:
    named = set(re.findall(r"`?make ([a-z-]+)`?", README))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "check"} <= named
    assert named - targets <= {"help"}


def test_files_that_it_names_exist() -> None:
    for name in re.findall(r"`((?:proto|edge|hub|tests|deploy|exported_models|\.ci)/[\w./-]*)`", README):
        assert (ROOT / name).exists(), name
