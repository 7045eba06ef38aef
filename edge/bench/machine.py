"""Where figures were measured: a latency without its machine, commit and versions says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import msgspec

from edgewise.clock import Clock

PACKAGES: Final = ("edgewise", "uvloop", "msgspec", "granian", "httptools", "onnxruntime")


class Machine(msgspec.Struct, frozen=True):
    """The machine that the load came from; the node's own only if it is the same one."""

    cpu: str
    cores: int
    """That this process may use."""
    kernel: str
    python: str
    commit: str | None
    """Of the checkout that this runs from, with `+` when files differ from it; None when it was installed."""
    versions: dict[str, str]
    measured_ms: int
    """Milliseconds since the Unix epoch."""
    load_1min: float
    """Processes that wanted a core before the run began: above 0 others disturb it."""


class Node(msgspec.Struct, frozen=True, rename="camel"):
    """What `/status` says of the node that was asked, as far as a bench repeats it."""

    node: str
    state: str
    bundle: dict[str, Any] = {}
    placements: list[str] = []
    workers: list[Any] = []


def this_machine(clock: Clock) -> Machine:
    """Look around."""
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        commit=_commit(Path(__file__).parent),
        versions={name: found for name in PACKAGES if (found := _version(name))},
        measured_ms=clock.now_ms(),
        load_1min=round(os.getloadavg()[0], 2),
    )


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in {"model name", "Model"}:
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit(folder: Path) -> str | None:
    """Only of a checkout that holds this very file: a wheel may be installed below any repository."""
    try:
        subprocess.run(
            ["git", "ls-files", "--error-unmatch", "machine.py"], cwd=folder, capture_output=True, check=True
        )
        told = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
