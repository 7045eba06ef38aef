"""Names, epochs, keys, locks and status files of a node: made once, never shared, never guessed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typing_extensions import override

from edge.agent.assigned import known_assignment
from edge.node.bundles import BundleStore
from edge.node.claims import hold_file, hold_folder, holder_of, reserve_port
from edge.node.durable import create_file, replace_file, sweep
from edge.node.epochs import next_epoch, node_id
from edge.node.keys import SiteKeys, load_site_keys, replace_site_keys
from edge.node.layout import NodePaths, ProducerKey, default_data_dir, doorbell_address, producer_of
from edge.node.status import AgentStatus, WorkerStatus, read_last_status, read_status, write_status
from edge.node.trust import metadata_expires_ms
from edge.profiles.cache import ProfileCache
from edge.spool.files import SystemFiles
from edge.spool.producers import hold, is_alive
from edge.worker.tally import Tally, read_tally
from edgewise.errors import UnavailableError
from edgewise.ids import NodeId, SiteName


@pytest.fixture
def paths(tmp_path: Path) -> NodePaths:
    made = NodePaths(tmp_path)
    made.create()
    return made


def test_a_node_has_one_name_whoever_asks_first(paths: NodePaths, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(lambda _: node_id(paths), range(32)))
    assert len(names) == 1
    other = NodePaths(tmp_path / "other")
    other.create()
    assert node_id(other) not in names


def test_a_damaged_name_is_not_replaced_in_silence(paths: NodePaths) -> None:
    paths.node.write_text("{}")
    with pytest.raises(UnavailableError, match=r"node\.json"):
        node_id(paths)


def test_no_epoch_is_given_out_twice(paths: NodePaths) -> None:
    with ThreadPoolExecutor(8) as pool:
        epochs = list(pool.map(lambda _: next_epoch(paths), range(50)))
    assert sorted(epochs) == list(range(1, 51))


def test_epochs_of_other_processes_differ_too(paths: NodePaths) -> None:
    code = (
        "from edge.node.layout import *; from edge.node.epochs import *; "
        f"print(next_epoch(NodePaths(Path({str(paths.root)!r}))))"
    )
    first = next_epoch(paths)
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert (first, int(printed), next_epoch(paths)) == (1, 2, 3)


def test_a_lost_counter_does_not_reach_back_into_the_spool(paths: NodePaths) -> None:
    os.close(hold(paths.producer(41, 0)))
    assert next_epoch(paths) == 42


def test_a_copy_of_a_folder_counts_on_elsewhere_and_the_original_where_it_was(
    paths: NodePaths, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two nodes of one name: each number they take must name one content."""
    assert [next_epoch(paths), next_epoch(paths)] == [1, 2]
    copies = [NodePaths(tmp_path_factory.mktemp("copy") / "node") for _ in range(4)]
    for copy in copies:
        shutil.copytree(paths.root, copy.root)
    taken = [next_epoch(node) for _ in range(3) for node in (paths, *copies)]
    assert len(set(taken)) == len(taken)
    assert taken[::5] == [3, 4, 5]
    for position in range(1, 5):
        first, *later = taken[position::5]
        assert later == [first + 1, first + 2], "once it knows where it lies, it goes on as usual"
        paths.producer(first, 0)  # fits into a folder's name


@pytest.mark.parametrize("machine", ["machine", "boot"])
def test_a_disk_image_that_is_started_elsewhere_counts_on_elsewhere(paths: NodePaths, machine: str) -> None:
    next_epoch(paths)
    place = json.loads(paths.place.read_bytes())
    paths.place.write_text(json.dumps({**place, machine: "another"}))
    leapt = next_epoch(paths)
    assert leapt > 2  # 2 with a chance of one in a million
    assert json.loads(paths.place.read_bytes()) == place
    assert next_epoch(paths) == leapt + 1


@pytest.mark.parametrize("content", ["x", "1\n", "0" * 20, "0" * 19 + "x\n"])
def test_a_damaged_counter_is_not_guessed(paths: NodePaths, content: str) -> None:
    paths.epoch.write_text(content)
    with pytest.raises(UnavailableError, match=r"delete it together with node\.json"):
        next_epoch(paths)


def test_own_keys_are_made_once_and_replaced_by_the_sites(paths: NodePaths) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: load_site_keys(paths), range(16)))
    assert all(keys == made[0] for keys in made)
    assert made[0].site is None
    assert len(made[0].subject_key) == 32
    site = SiteKeys(SiteName("shop"), b"s" * 32, b"v" * 16)
    replace_site_keys(paths, site)
    assert load_site_keys(paths) == site
    assert paths.site.stat().st_mode & 0o077 == 0
    for short in (b"", b"x" * 15, b"x" * 65):
        with pytest.raises(ValueError, match="16 to 64 bytes"):
            replace_site_keys(paths, SiteKeys(SiteName("shop"), short, b"v" * 32))
    assert load_site_keys(paths) == site


def test_damaged_keys_are_named(paths: NodePaths) -> None:
    paths.site.write_text('{"site": null, "subject_key": "zz", "visitor_key": "00"}')
    with pytest.raises(UnavailableError, match=r"site\.json.*subject_key"):
        load_site_keys(paths)


def test_a_producer_lives_as_long_as_it_holds_its_folder(paths: NodePaths) -> None:
    folder = paths.producer(7, 3)
    held = hold(folder)
    assert is_alive(folder)
    with pytest.raises(FileExistsError):
        hold(folder)
    os.close(held)
    assert not is_alive(folder)


def test_a_folder_that_has_lost_its_lock_is_nobodys(paths: NodePaths) -> None:
    """A power loss takes names that were not synced; what waits in the folder must be shipped all the same."""
    folder = paths.producer(7, 3)
    folder.mkdir()
    assert not is_alive(folder)


def test_a_folder_has_its_name_only_once_it_is_held(paths: NodePaths) -> None:
    folder, seen = paths.producer(7, 3), list[bool]()

    class Looking(SystemFiles):
        @override
        def sync_folder(self, folder: Path) -> None:
            seen.append(is_alive(paths.producer(7, 3)))

        @override
        def rename(self, path: Path, to: Path) -> None:
            assert not folder.exists()
            super().rename(path, to)

    held = hold(folder, Looking())
    assert seen == [True]
    os.close(held)


def test_producers_are_named_by_epoch_and_worker(paths: NodePaths) -> None:
    assert producer_of(paths.producer(12, 3).name) == ProducerKey(12, 3)
    assert [producer_of(name) for name in ("", "x", "12-3", "0000000012-003x", ".0000000012-003")] == [None] * 5
    for epoch, worker in ((10**10, 0), (1, 1_000)):
        with pytest.raises(ValueError, match="at most 10 and 3 digits"):
            paths.producer(epoch, worker)


def test_the_data_folder_follows_the_environment(tmp_path: Path) -> None:
    assert default_data_dir({"EDGEWISE_EDGE_DATA_DIR": "/srv/edge"}, tmp_path) == Path("/srv/edge")
    assert default_data_dir({"XDG_STATE_HOME": "/state"}, tmp_path) == Path("/state/edgewise/edge")
    for relative in ({}, {"XDG_STATE_HOME": "state"}):
        assert default_data_dir(relative, tmp_path) == tmp_path / ".local/state/edgewise/edge"


def test_the_doorbell_leaves_no_file_behind() -> None:
    assert doorbell_address(NodeId("n-1")) == "\0edgewise-n-1"


def test_files_are_replaced_whole_and_created_once(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert create_file(file, b"first")
    assert not create_file(file, b"second")
    replace_file(file, b"third")
    assert file.read_bytes() == b"third"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(folder, b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in (".agent.json.0123abcd", ".agent.json", "agent.json", "x.0123abcd", ".agent.json.0123ABCD"):
        (tmp_path / name).write_text("")
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        ".agent.json",
        "agent.json",
        "x.0123abcd",
        ".agent.json.0123ABCD",
    }


def test_status_is_believed_only_while_its_writer_lives(paths: NodePaths) -> None:
    file = paths.worker_status(0)
    assert read_status(file, WorkerStatus) is None
    mine = WorkerStatus(index=0, pid=os.getpid(), epoch=1, written_ms=2, listening=True, detail={"more": [1]})
    write_status(file, mine)
    assert read_status(file, WorkerStatus) == mine
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    write_status(file, WorkerStatus(index=0, pid=ended.pid, epoch=1, written_ms=2, listening=True))
    assert read_status(file, WorkerStatus) is None
    assert read_last_status(file, WorkerStatus) is not None
    file.write_text("{")
    assert read_last_status(file, AgentStatus) is None


def damaged_name(paths: NodePaths, content: bytes) -> bool:
    paths.node.write_bytes(content)
    with pytest.raises(UnavailableError, match=r"node\.json"):
        node_id(paths)
    return True


def damaged_keys(paths: NodePaths, content: bytes) -> bool:
    paths.site.write_bytes(content)
    with pytest.raises(UnavailableError, match=r"site\.json"):
        load_site_keys(paths)
    return True


def damaged_status(paths: NodePaths, content: bytes) -> bool:
    paths.agent_status.write_bytes(content)
    return read_last_status(paths.agent_status, AgentStatus) is None


def damaged_tally(paths: NodePaths, content: bytes) -> bool:
    paths.tally(0).write_bytes(content)
    return read_tally(paths.tally(0)) == Tally()


def damaged_assignment(paths: NodePaths, content: bytes) -> bool:
    paths.assignment.write_bytes(content)
    return known_assignment(paths) is None


def damaged_metadata(paths: NodePaths, content: bytes) -> bool:
    paths.metadata.mkdir(parents=True, exist_ok=True)
    (paths.metadata / "timestamp.json").write_bytes(content)
    return metadata_expires_ms(paths) is None


def damaged_quarantine(paths: NodePaths, content: bytes) -> bool:
    (paths.quarantine / f"{'f' * 64}.json").write_bytes(content)
    return BundleStore(paths).quarantined("f" * 64) is None


def damaged_stamp(paths: NodePaths, content: bytes) -> bool:
    (paths.profiles / "stamp.json").write_bytes(content)
    cache = ProfileCache.open(paths.profiles, map_bytes=1 << 20)
    cache.close()
    return (paths.profiles / "stamp.json").read_bytes() != content


@pytest.mark.parametrize(
    "content",
    [
        # As one flipped bit leaves it: an object whose texts are no UTF-8, in every field that one of the files has.
        b"{"
        + b",".join(
            b'"%s":"\xff"' % name.encode()
            for name in ("node_id", "site", "subject_key", "hub", "digest", "nodes", "boot", "signed")
        )
        + b"}",
        b"\xff",
        b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
    ids=["text", "byte", "nesting"],
)
@pytest.mark.parametrize(
    "damaged",
    [
        damaged_name,
        damaged_keys,
        damaged_status,
        damaged_tally,
        damaged_assignment,
        damaged_metadata,
        damaged_quarantine,
        damaged_stamp,
    ],
)
def test_whatever_a_bit_has_done_to_a_file_it_counts_as_damaged_and_nothing_else_happens(
    paths: NodePaths, damaged: Callable[[NodePaths, bytes], bool], content: bytes
) -> None:
    assert damaged(paths, content)


def test_one_folder_has_one_supervisor(paths: NodePaths) -> None:
    assert holder_of(paths.lock) is None
    with hold_folder(paths):
        assert holder_of(paths.lock) == str(os.getpid())
        with pytest.raises(UnavailableError, match=f"process id {os.getpid()}.*--data-dir"), hold_folder(paths):
            pass
    assert holder_of(paths.lock) is None
    with hold_folder(paths), hold_file(paths.agent_lock, wait=False) as other:
        assert other is None


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match=r"file.*--data-dir"), hold_folder(NodePaths(tmp_path / "file" / "node")):
        pass


def test_a_port_is_kept_for_our_workers_and_nobody_elses() -> None:
    with reserve_port("127.0.0.1", 0) as port, socket.socket() as worker:
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(("127.0.0.1", port))
        worker.listen()
        with pytest.raises(UnavailableError, match=f"port {port}: address already in use.*--port"):
            reserve_port("127.0.0.1", port).__enter__()


@pytest.mark.parametrize("host", ["192.0.2.1", "x" * 64])
def test_an_address_that_is_not_ours_is_named(host: str) -> None:
    with pytest.raises(UnavailableError, match=host):
        reserve_port(host, 0).__enter__()
