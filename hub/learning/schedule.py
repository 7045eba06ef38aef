"""A running hub goes around the loop by itself, in a process of its own: training shares no memory with what serves.

The child is the command that a person would run, with the same settings. What it is killed in, the next one goes on
with; a hub that stops ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from edgewise.errors import MALFORMED
from hub.log import Log
from hub.processes import EDGEWISE, last_words
from hub.settings import PREFIX, HubSettings

NICE: Final = 10
"""Nodes and people come first."""
STOP_S: Final = 10.0
_LEARN: Final = "learn_"


class LearningKeeper:
    """One hub's."""

    def __init__(
        self,
        data_dir: Path,
        settings: HubSettings,
        *,
        log: Log,
        environment: Mapping[str, str],
        command: Sequence[str] = EDGEWISE,
    ) -> None:
        """`command` is what runs as `edgewise`."""
        self._command = command
        self._data_dir = data_dir
        self._settings = settings
        self._log = log
        self._environment = {**environment, **variables_of(settings)}

    async def run(self) -> None:
        """Until cancelled; nothing at all where `learn_every_ms` is 0."""
        every_ms = self._settings.learn_every_ms
        if not every_ms:
            return
        if not self._settings.learn_site:
            self._log.error("nothing is learned: learn_every_ms is set, and learn_site says no site")
            return
        while True:
            try:
                await self.once()
            except Exception:  # noqa: BLE001  # a mistake of ours must not leave nodes without a hub
                self._log.exception("going around the learning loop failed")
            await asyncio.sleep(every_ms / 1_000)

    async def once(self) -> None:
        """Once around; what came of it goes into the log."""
        words = ["hub", "learn", "--data-dir", str(self._data_dir), "--json"]
        child = await asyncio.create_subprocess_exec(
            *self._command,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, child.pid, NICE)
        try:
            said, complaints = await child.communicate()
        except asyncio.CancelledError:
            await _end(child)
            raise
        if child.returncode:
            self._log.error("the learning loop did not go around", reason=last_words(complaints))
            return
        try:
            report = msgspec.json.decode(said, type=dict[str, Any])
        except MALFORMED:
            self._log.error("the learning loop said nothing that can be read", reason=last_words(complaints))
            return
        for turn in report.get("turns", ()):
            told = {name: turn.get(name) for name in ("number", "model", "state", "reason")}
            self._log.info("learning turn", **told)
        for told in report.get("told", ()):
            if told.get("error"):
                self._log.error("nobody was told that a person is needed", **told)


def variables_of(settings: HubSettings) -> dict[str, str]:
    """The settings of the loop as the variables that a child reads them from, wherever they came from."""
    found = {}
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if name.startswith(_LEARN) and value not in ("", [], None):
            found[f"{PREFIX}{name.upper()}"] = _as_text(value)
    return found


def _as_text(value: object) -> str:
    """As a variable of the environment says it."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return ",".join(map(str, value))
        case _:
            return str(value)


async def _end(child: asyncio.subprocess.Process) -> None:
    """It and the scorer that it started, by the session that is theirs."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_S):
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
