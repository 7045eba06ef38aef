"""What the README tells people to type exists as it is written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from edgewise.cli import commands

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TYPED = [
    words.strip()
    for line in re.findall(r"^    (?:\$ )?((?:edgewise|make) .+)$", README, re.MULTILINE)
    for words in re.split(r" && | &(?= |$)", line.partition("  #")[0])
    if words.strip()
]
BACKTICKED = re.findall(r"`(edgewise [a-z]+ [^`]+)`", README)


@pytest.mark.parametrize("typed", [line for line in [*TYPED, *BACKTICKED] if line.startswith("edgewise")])
def test_commands_and_their_flags_exist(typed: str) -> None:
    _, word, *rest = shlex.split(typed)
    command = typer.main.get_command(commands()[word].load())
    while rest and hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    known = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}
    assert {word for word in rest if word.startswith("--")} <= known


def test_make_targets_exist() -> None:
    named = set(re.findall(r"`?make ([a-z-]+)`?", README))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "check"} <= named
    assert named - targets <= {"help"}


def test_files_that_it_names_exist() -> None:
    for name in re.findall(r"`((?:proto|edge|hub|tests|exported_models|\.ci)/[\w./-]*)`", README):
        assert (ROOT / name).exists(), name
