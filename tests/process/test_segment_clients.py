"""Segment's own clients, unmodified, send to a node: the hub's profile shows it, or `/status` says why it cannot.

The calls are `segment_clients/send.py` and `send.mjs`. The npm client is installed for each run from its lock file.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fault_proxy import Cut, FaultProxy, Way
from needs import lacking
from processes import Started, ask, until
from shop_process import Shop, version

from edgewise.profile.state import DAY_MS
from edgewise.records import ANONYMOUS
from hub.ledger.ledger import open_ledger

pytestmark = pytest.mark.process
SCRIPTS = Path(__file__).parents[1] / "segment_clients"
SERVER_KEY = "key-of-the-shops-own-server"
INSTALL_S = 90
SEND_S = 90
CALLS = 8
"""Different ones; one of them is sent twice."""
GRANTED = "default_consent:\n  personalisation: granted\n  analytics: granted\n"


class Running(NamedTuple):
    shop: Shop
    node: Started

    def status(self) -> Any:
        return ask(f"{self.node.said['url']}/status")

    def said(self, *words: str) -> Any:
        """What a command says that may be refused."""
        try:
            return self.shop.run(*words)
        except AssertionError as refused:
            return str(refused)


@pytest.fixture(scope="module")
def npm_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the script and of the npm client that it needs."""
    folder = tmp_path_factory.mktemp("npm")
    for name in ("package.json", "package-lock.json", "send.mjs"):
        shutil.copy(SCRIPTS / name, folder)
    if shutil.which("node") is None or shutil.which("npm") is None:
        lacking("no node and npm on PATH, so @segment/analytics-node was not tried; `make tools` installs Debian's")
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(install, cwd=folder, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.SubprocessError as failed:
        told = str(getattr(failed, "stderr", None) or failed).strip().splitlines()
        lacking(f"@segment/analytics-node cannot be installed, so it was not tried: {told[-1] if told else failed}")
    return folder


@pytest.fixture(params=["pypi", pytest.param("npm", marks=pytest.mark.slow)])
def client(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The command that sends the calls, without its arguments."""
    if request.param == "pypi":
        return sys.executable, str(SCRIPTS / "send.py")
    return "node", str(request.getfixturevalue("npm_client") / "send.mjs")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A shop whose visitors have granted everything by default, its hub, and a node that hears it."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    digest = hashlib.sha256(SERVER_KEY.encode()).hexdigest()
    shop.quick.write_text(f'reconnect_most_ms = 500\nserver_keys_sha256 = ["{digest}"]\n')
    assert GRANTED in (shop.site / "site.yaml").read_text()
    shop.release()
    shop.run("release", "promote", "1")
    with shop.hub() as hub, shop.node("node", hub.said["hub"]) as node:
        until(lambda: version(node) == 1 and ask(f"{node.said['url']}/status")["hub"]["connected"])
        yield Running(shop, node)


def send(client: tuple[str, ...], running: Running, key: str, who: str, *cuts: Cut) -> None:
    """Let a client send over a network that breaks, until everything is acknowledged."""

    async def over_network() -> None:
        async with FaultProxy(int(running.node.said["url"].rpartition(":")[2]), cuts=cuts) as proxy:
            sender = await asyncio.create_subprocess_exec(
                *client, f"http://{proxy.address}", key, who, stderr=subprocess.PIPE, env=os.environ
            )
            _, told = await asyncio.wait_for(sender.communicate(), SEND_S)
            assert sender.returncode == 0, told.decode()
            assert proxy.cuts_done == len(cuts)

    asyncio.run(over_network())


def take_back_the_default(running: Running) -> None:
    """Let a release serve that says nothing of consent: then nothing is granted."""
    page = running.shop.site / "site.yaml"
    before = page.read_text()
    page.write_text(before.replace(GRANTED, ""))
    if page.read_text() != before:
        released = running.shop.release()
        running.shop.run("release", "promote", str(released))
        until(lambda: version(running.node) == released)


@pytest.mark.timeout(240)
def test_a_shops_server_finds_in_the_profile_what_it_has_sent_and_what_went_before(
    running: Running, client: tuple[str, ...]
) -> None:
    who, before = Path(client[-1]).suffix[1:], running.status()["events"]
    # Of one batch the answer is lost, of another the request: each is sent again.
    send(client, running, SERVER_KEY, who, Cut(Way.TO_NODE, 1), Cut(Way.TO_HUB, 300))
    after = running.status()["events"]
    assert after["accepted"] - before["accepted"] == CALLS
    assert after["duplicate"] - before["duplicate"] >= 1
    assert (after["withoutConsent"], after["withoutProfile"]) == (before["withoutConsent"], before["withoutProfile"])
    until(lambda: running.status()["spool"]["pending"] == 0)

    # Whichever of his names is asked for, it is one person: what he did before he was known is his, too.
    for told in [running.shop.run("profile", "show", name) for name in (f"user-{who}", f"anon-{who}")]:
        assert told["counts"] == {"add": 1, "order": 1, "other": 3, "page": 2, "view": 1}
        assert sorted(told["last_items"]) == ["earl-grey", "sencha"]
        assert (told["spent_minor"], told["traits"]["plan"]) == (1_900, "gold")
        # The page was looked at three days ago, though it was sent now.
        assert 2.9 * DAY_MS < told["last_ms"] - told["first_ms"] < 3.1 * DAY_MS


@pytest.mark.timeout(240)
def test_where_nobody_has_granted_anything_nothing_is_stored_and_the_status_says_why(
    running: Running, client: tuple[str, ...]
) -> None:
    take_back_the_default(running)
    who, before = f"silent-{Path(client[-1]).suffix[1:]}", running.status()
    send(client, running, SERVER_KEY, who)
    after = running.status()
    assert after["events"]["withoutConsent"] - before["events"]["withoutConsent"] == CALLS
    assert after["events"]["accepted"] == before["events"]["accepted"]
    pending = [status["events"]["withoutProfile"].get("pending", 0) for status in (before, after)]
    assert pending[1] - pending[0] == CALLS
    until(lambda: running.status()["spool"]["pending"] == 0)
    for name in (f"user-{who}", f"anon-{who}"):
        assert "nothing is known" in running.said("profile", "show", name)
    with open_ledger(running.shop.hub_dir) as ledger:
        last = [event for _, event in ledger.events()][-CALLS:]
    assert {(event.subject, event.body, bool(event.identifiers or event.traits)) for event in last} == {
        (ANONYMOUS, b"", False)
    }
