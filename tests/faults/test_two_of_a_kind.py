"""Two of what there should be one of: agents on a folder, copies of a node, lives of a hub."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from agent_world import Node, enrolled, follow_bundles, patiently, settings_of
from fault_pair import pair
from hub_process import hub_process
from processes import until
from uplink_world import Worker, shipping

from edge.node.bundles import BundleStore
from edge.node.epochs import node_id
from edge.node.layout import NodePaths
from edge.settings import encode_settings
from edge.testing.fake_hub import FakeHub, eventually
from edge.testing.signed_site import SignedSite
from edge.testing.small_bundle import small_bundle


@pytest.mark.process
def test_of_two_agents_one_waits_and_takes_over(tmp_path: Path) -> None:
    site = SignedSite("shop")
    bundle = small_bundle("shop", version=1)
    site.release(bundle)
    site.assign(1)
    paths = enrolled(tmp_path / "node", site)
    nothing: Any = None

    async def story() -> None:
        async with FakeHub(site) as hub:
            settings = settings_of(paths.root, hub.address)
            node = Node(node_id(paths), paths, BundleStore(paths), settings, nothing, asyncio.Event())
            worker = asyncio.create_task(follow_bundles(node, lambda _: True))

            async def agent() -> asyncio.subprocess.Process:
                words = ("-m", "edge.agent.run", "--settings", encode_settings(settings))
                return await asyncio.create_subprocess_exec(sys.executable, *words)

            agents = [await agent()]
            try:
                await eventually(lambda: node.store.current() == bundle.digest and len(hub.answers) == 1)
                agents.append(await agent())
                await asyncio.sleep(0)
                before = len(hub.hellos)
                # Until the second has come as far as to its lock nothing could be seen of it.
                await eventually(lambda: _waits_for(agents[1].pid, paths.agent_lock))
                assert len(hub.hellos) == before == 1
                agents[0].kill()
                killed_s = time.monotonic()
                await eventually(lambda: len(hub.hellos) == 2)
                print(f"taken over after {time.monotonic() - killed_s:.1f} s")
                await eventually(lambda: len(hub.answers) == 2)
                assert [hello.bundle_version for hello in hub.hellos] == [-1, 1]
                blobs = [path for path in hub.fetched if path.startswith("blobs/")]
                assert sorted(set(blobs)) == sorted(blobs), "each resource is downloaded once"
            finally:
                worker.cancel()
                for each in agents:
                    with contextlib.suppress(ProcessLookupError):
                        each.terminate()
                    await each.wait()

    patiently(story())


def _waits_for(pid: int, lock: Path) -> bool:
    """Whether a process stands before a lock that another one holds."""
    inode = lock.stat().st_ino
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f":{inode} " in line and f" {pid} " in line for line in lines)


def test_copies_of_a_node_share_no_number_and_both_are_stored(folder: Path) -> None:
    """Also what lay in the spool when the copy was made: both ship it, and it is stored once."""

    async def story() -> None:
        async with FakeHub(SignedSite("shop")) as hub:
            first, second = NodePaths(folder / "first"), NodePaths(folder / "second")
            first.create()
            node_id(first)
            old = Worker(first, 0)
            for _ in range(5):
                old.append()
            await old.spool.commit()
            old.kill()
            shutil.copytree(first.root, second.root)
            workers = [Worker(paths, 0) for paths in (first, second)]
            for _ in range(5):
                for worker in workers:
                    worker.append()
            for worker in workers:
                await worker.spool.commit()
                worker.kill()
            # One after the other: in one process, and in one network, only one of them has the node's doorbell.
            for paths in (first, second):
                async with shipping(paths.root, hub.address):
                    await eventually(lambda paths=paths: not any(paths.spool.iterdir()))  # type: ignore[misc]
            assert len({old.key, *(worker.key for worker in workers)}) == 3
            for worker in (old, *workers):
                assert hub.records[worker.key] == worker.records

    patiently(story())


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(180)
def test_a_hub_restored_from_a_backup_stores_nothing_twice_and_is_told_what_is_missing(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.track(10)
        until(lambda: both.stored() == both.expected())
        port = both.hub.hub.rpartition(":")[2]
        assert both.hub.stop() == 0
        shutil.copytree(tmp_path / "hub", tmp_path / "backup")
        with hub_process(tmp_path / "hub", "--grpc", f"127.0.0.1:{port}") as hub:
            both.track(10)
            until(lambda: both.stored() == both.expected())
            hub.kill()
        both.track(3)  # while there is none
        shutil.rmtree(tmp_path / "hub")
        shutil.copytree(tmp_path / "backup", tmp_path / "hub")
        (tmp_path / "hub" / "incarnation").unlink()  # what a restore must do
        with hub_process(tmp_path / "hub", "--grpc", f"127.0.0.1:{port}"):
            both.track(3)
            kept, expected = both.stored, both.expected()
            until(lambda: set(list(expected)[-6:]) <= set(kept()), most_s=60)
            missing = set(expected) - set(kept())
            print(f"{len(missing)} of {len(both.sent)} were stored after the backup and deleted by the node since")
            assert set(kept().values()) == {1}
            assert missing <= set(list(expected)[10:20])
            assert both.gaps() >= len(missing), "each of them is declared"
