"""Commands as documents tell people to type them."""

from __future__ import annotations

import re
import shlex

import typer.main

from edgewise.cli import commands


def typed_in_blocks(text: str) -> list[str]:
    """Every `edgewise …` and `make …` of the indented blocks, one command each, without remarks."""
    return [
        words.strip()
        for line in re.findall(r"^    (?:\$ )?((?:edgewise|make) .+)$", text, re.MULTILINE)
        for words in re.split(r" && | &(?= |$)", line.partition("  #")[0])
        if words.strip()
    ]


def typed_in_backticks(text: str) -> list[str]:
    """Every `edgewise …` inside a sentence."""
    return re.findall(r"`(edgewise [a-z]+ [^`]+)`", text)


def unknown_flags(typed: str) -> set[str]:
    """Flags that a command does not have. Raises KeyError for a command that there is not."""
    _, word, *rest = shlex.split(typed)
    command = typer.main.get_command(commands()[word].load())
    while rest and hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    known = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}
    return {word for word in rest if word.startswith("--")} - known
