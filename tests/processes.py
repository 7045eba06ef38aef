"""Real processes for tests: started, waited for by what they say, always ended."""

from __future__ import annotations

import json
import selectors
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.prove.victims import children

START_S = 60.0


class Started:
    """A running `edgewise` command that has printed its first line of JSON."""

    def __init__(self, process: subprocess.Popen[bytes], said: dict[str, Any], log: Path) -> None:
        self.process = process
        self.said = said
        self.log = log

    def stop(self, *, number: signal.Signals = signal.SIGTERM, most_s: float = 30.0) -> int:
        """Send a signal and wait; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(most_s)

    def children(self) -> list[int]:
        """Process ids of its children."""
        return children(self.process.pid)

    def arguments_of_children(self) -> list[str]:
        """What every user of the machine may read of them."""
        return [Path(f"/proc/{pid}/cmdline").read_text() for pid in self.children()]


@contextmanager
def edgewise(*words: str, log: Path, through: Sequence[str] = (), **options: Any) -> Iterator[Started]:
    """Run `edgewise …` until the block ends; `--json` is added. Standard error goes to the file `log`.

    `through` is a command that becomes it; `options` are Popen's.
    """
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*through, sys.executable, "-c", "from edgewise.cli import main; main()", *words, "--json"],
            stdout=subprocess.PIPE,
            stderr=errors,
            **options,
        )
    try:
        yield Started(process, json.loads(_first_line(process, log)), log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        assert process.stdout is not None
        process.stdout.close()


def run_edgewise(*words: str, most_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run `edgewise …` to its end."""
    return subprocess.run(
        [sys.executable, "-c", "from edgewise.cli import main; main()", *words],
        capture_output=True,
        text=True,
        timeout=most_s,
        check=False,
    )


def _first_line(process: subprocess.Popen[bytes], log: Path) -> bytes:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(START_S):
            raise TimeoutError(f"{process.args!r} said nothing in {START_S} s; {log.read_text()}")
    line = process.stdout.readline()
    if not line:
        raise AssertionError(f"ended with {process.wait()} and said nothing; {log.read_text()}")
    return line


def until(condition: Callable[[], Any], *, most_s: float = 30.0) -> Any:
    """Wait until `condition` is truthy; returns it."""
    deadline = time.monotonic() + most_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not in {most_s} s")
        time.sleep(0.02)
    return found


def listening_pids(node: Started) -> list[int]:
    """Process ids of a node's workers that answer, as one of them says."""
    return [worker["pid"] for worker in ask(f"{node.said['url']}/status")["workers"] if worker["listening"]]


def ask(url: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Any:
    """GET, or POST of JSON; the answer's JSON. Tries once more when a connection breaks, as clients must."""
    data = None if body is None else json.dumps(body).encode()
    for attempt in (1, 2, 3):
        request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read())
        except (ConnectionError, urllib.error.URLError) as failed:
            if attempt == 3 or isinstance(failed, urllib.error.HTTPError):
                raise
    raise AssertionError
