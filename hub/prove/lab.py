"""Where a scenario runs: a folder, a site, a hub and nodes on loopback, all of it thrown away afterwards."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from edgewise.clock import Clock
from edgewise.errors import EdgewiseError, UnavailableError
from edgewise.ids import BundleVersion
from hub.processes import Served, edge, hub
from hub.prove.caller import Caller

BY: Final = "edgewise prove"
"""Who approves here. In a real site a person does, by name."""
START_MS: Final = 60_000.0
DRAIN_MS: Final = 120_000.0
SETTLED_S: Final = 1.5
_POLL_S: Final = 0.02

T = TypeVar("T")
Tell = Callable[[str, float], None]
"""Says what runs now, and which share in [0, 1] of it is done."""


class NotHereError(EdgewiseError):
    """This machine, or this installation, cannot run a scenario; says why."""


class Site(NamedTuple):
    """A site that was begun in the lab."""

    folder: Path
    write_key: str


class Running(NamedTuple):
    """A hub with a node that serves its release."""

    hub: Served
    node: Served
    url: str
    """Of the node; it stays when the node is started again."""
    write_key: str


class Lab:
    """One scenario's."""

    def __init__(self, folder: Path, clock: Clock, tell: Tell) -> None:
        self.folder = folder
        self.clock = clock
        self.tell = tell
        self.hub_dir = folder / "hub"
        self.node_dir = folder / "node"
        self._again: dict[Served, Served] = {}
        """By process: what is started in its place once it was killed."""

    # --- the site ----------------------------------------------------------------------------------------------------
    def begin_site(self) -> Site:
        """The invented shop, and its first release live."""
        from hub.release.beginning import begin

        site = self.folder / "site"
        begun = begin(site, self.hub_dir, by=BY, clock=self.clock)
        self.promote(self.release(site))
        return Site(site, begun.write_key)

    def release(self, site: Path) -> BundleVersion:
        """Build what the site's folder says now, and approve it."""
        from hub.release.releases import open_releases
        from hub.site.loading import load_site

        with open_releases(self.hub_dir, self.clock) as releases:
            version = releases.apply(load_site(site), by=BY).release.version
            releases.approve(version, by=BY)
        return version

    def promote(self, version: BundleVersion) -> None:
        """Let the node run a release."""
        from hub.release.releases import open_releases

        with open_releases(self.hub_dir, self.clock) as releases:
            releases.promote(version, by=BY)

    # --- processes ---------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def hub(self) -> Iterator[Served]:
        """A hub, until the block ends. Started again, it is found at the same addresses."""
        log = self.folder / "hub.log"
        with hub(self.hub_dir, log, self.clock) as served:
            admin = str(served.said["admin"]).removeprefix("http://")
            self._again[served] = hub(self.hub_dir, log, self.clock, grpc=served.said["hub"], admin=admin)
            yield served

    @contextlib.contextmanager
    def node(
        self, hub_address: str | None, *, workers: int, data_dir: Path | None = None, **settings: Any
    ) -> Iterator[Served]:
        """A node, until the block ends. Started again, it is found at the same port."""
        folder = data_dir or self.node_dir
        log, config = self.folder / f"{folder.name}.log", self.folder / f"{folder.name}.toml"
        # A fleet comes back more gently; one node has nobody to be gentle to.
        said = {"reconnect_most_ms": 500, "log_level": "warning", **settings}
        config.write_text("".join(f"{name} = {_toml(value)}\n" for name, value in said.items()), "utf-8")

        def at(port: int) -> Served:
            return edge("node", folder, hub_address, log, self.clock, workers=workers, port=port, config=config)

        with at(0) as served:
            self._again[served] = at(int(str(served.said["url"]).rpartition(":")[2]))
            yield served

    @contextlib.contextmanager
    def shop(self, *, workers: int = 2, **settings: Any) -> Iterator[Running]:
        """A hub and a node of two workers that serves the first release."""
        self.tell("begin a site", 0.0)
        site = self.begin_site()
        self.tell("start a hub and a node", 0.0)
        with self.hub() as the_hub, self.node(the_hub.said["hub"], workers=workers, **settings) as node:
            running = Running(the_hub, node, str(node.said["url"]), site.write_key)
            self.wait_for_version(running, BundleVersion(1))
            yield running

    def again(self, served: Served) -> None:
        """Start one that was killed, at its old address."""
        served.become(self._again[served])

    # --- waiting -----------------------------------------------------------------------------------------------------
    def until(self, look: Callable[[], T | None], what: str, *, most_ms: float = START_MS) -> T:
        """Look until there is something to see: anything that is true.

        Raises:
            UnavailableError: there was nothing for `most_ms`; `what` says what was waited for.
        """
        begun_ms, waiting = self.clock.monotonic_ms(), threading.Event()
        while True:
            found = look()
            if found:
                return found
            if self.clock.monotonic_ms() - begun_ms > most_ms:
                raise UnavailableError(f"{what}: not within {most_ms / 1_000:.0f} s; logs are in {self.folder}")
            waiting.wait(_POLL_S)

    def until_ms(self, look: Callable[[], object], what: str, *, most_ms: float = START_MS) -> float:
        """How long that took, in milliseconds. Raises as `until`."""
        begun_ms = self.clock.monotonic_ms()
        self.until(look, what, most_ms=most_ms)
        return self.clock.monotonic_ms() - begun_ms

    def wait_for_version(self, running: Running, version: BundleVersion) -> None:
        """Until every worker of the node serves it."""
        with Caller(running.url, running.write_key) as caller:

            def serves() -> bool:
                workers = _status_or_nothing(caller).get("workers", [])
                return bool(workers) and all(worker["bundleVersion"] == version for worker in workers)

            self.until(serves, f"all workers serve release {version}")

    def drain(self, running: Running) -> dict[str, Any]:
        """Until the hub has stored all that the node holds; the node's last word on it."""
        with Caller(running.url, running.write_key) as caller:

            def drained() -> dict[str, Any] | None:
                status = _status_or_nothing(caller)
                return status if status and status["spool"]["pending"] == 0 else None

            self.until(drained, "the node's spool is empty", most_ms=DRAIN_MS)
            # A worker answers for the others as of their last word, which is half a second old.
            threading.Event().wait(SETTLED_S)
            return self.until(drained, "the node's spool stays empty", most_ms=DRAIN_MS)


def workers_under_load() -> int:
    """Of a node that works as hard as it can: the load, and a hub that signs, need a core as well."""
    return max(1, (os.cpu_count() or 2) - 1)


def decisions(caller: Caller) -> int:
    """How many all workers of the node have made. Raises as `Caller.status`."""
    return sum(int(worker["decisions"]) for worker in caller.status()["workers"])


def _status_or_nothing(caller: Caller) -> dict[str, Any]:
    try:
        return caller.status()
    except UnavailableError:
        return {}


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)
