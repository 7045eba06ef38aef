"""A hub as a process of its own, started the way people start it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgewise.cli import main
from edgewise.ids import SiteName
from hub.keys import make_keys
from hub.release.repository import Repository

EDGEWISE = Path(sys.executable).parent / "edgewise"
PATIENCE_S = 30.0


class HubProcess(NamedTuple):
    """A running hub; `hub` is HOST:PORT of gRPC, `admin` a URL."""

    process: subprocess.Popen[str]
    hub: str
    admin: str

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL: nothing is finished."""
        self.process.kill()
        self.process.wait(PATIENCE_S)


def make_site(data_dir: Path) -> Repository:
    """Keys and a signed repository without any release."""
    make_keys(data_dir)
    repository = Repository(data_dir)
    repository.create(SiteName("film-shop"))
    return repository


@contextmanager
def hub_process(data_dir: Path, *options: str) -> Iterator[HubProcess]:
    """Serve a data folder on free ports; whatever still runs at the end is killed."""
    words: list[str | Path] = [EDGEWISE, "hub", "serve", "--data-dir", data_dir, "--json"]
    ports = ["--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    process = subprocess.Popen([*words, *ports, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        said = json.loads(line)
        assert said["pid"] == process.pid
        yield HubProcess(process, said["hub"], said["admin"])
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


class Finished(NamedTuple):
    """What a command came to."""

    code: int
    stdout: str
    stderr: str

    @property
    def told(self) -> Any:
        """What it printed with `--json`, if it succeeded."""
        assert self.code == 0, self.stderr
        return json.loads(self.stdout)


def edgewise(capsys: pytest.CaptureFixture[str], *words: str | Path) -> Finished:
    """Run one command inside this process: a process of its own would take a second to import what is here."""
    capsys.readouterr()
    try:
        main([str(word) for word in words])
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    said = capsys.readouterr()
    return Finished(code, said.out, said.err)
