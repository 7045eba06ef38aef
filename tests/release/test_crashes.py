"""A crash before any write of any change: nodes see the old state or the new one, and doing it again finishes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from release_world import SHOP, Client, new_repository, tiny_release, write_without_sync

from edgewise.clock import ManualClock, SystemClock
from edgewise.ids import BundleVersion
from hub.durable import UNFINISHED, replace_file
from hub.keys import make_keys
from hub.release.repository import Repository

HALF_A_DAY_MS = 43_200_001


class Crash(BaseException):
    """The process is gone: nothing that catches `Exception` may go on."""


class CrashingDisk:
    """Writes `left` files, then leaves half of the next one beside its place and crashes."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self, path: Path, data: bytes) -> None:
        if self.left == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(f".{path.name}.crashed{UNFINISHED}").write_bytes(data[: len(data) // 2])
            raise Crash
        self.left -= 1
        write_without_sync(path, data)


class CountingDisk:
    def __init__(self) -> None:
        self.writes = 0

    def __call__(self, path: Path, data: bytes) -> None:
        self.writes += 1
        write_without_sync(path, data)


def publish(repository: Repository) -> None:
    repository.publish_release(*tiny_release(2))


def assign(repository: Repository) -> None:
    repository.assign(BundleVersion(1))


def refresh(repository: Repository) -> None:
    repository.refresh()


Change = Callable[[Repository], None]
CHANGES = {"publish": (publish, 5), "assign": (assign, 4), "refresh": (refresh, 4)}
"""A change, and how many files it writes; `test_the_counts_are_true` holds the numbers to the code."""
CRASHES = [(name, writes) for name, (_, count) in CHANGES.items() for writes in range(count)]


def world(folder: Path) -> tuple[Repository, Client, ManualClock]:
    """A repository with one assigned release, half a day old, and a client that has seen it."""
    clock = ManualClock(SystemClock().now_ms() - HALF_A_DAY_MS)
    repository = new_repository(folder / "hub", clock)
    repository.publish_release(*tiny_release(1))
    repository.assign(BundleVersion(1))
    clock.jump(HALF_A_DAY_MS)
    client = Client(folder / "client", repository)
    client.assignment()
    return repository, client, clock


def state(client: Client) -> tuple[object, bytes | None, int]:
    """What a node can find out, and how long it may trust it."""
    assignment = client.assignment()
    return assignment, client.manifest(2), client.versions()["timestamp"]


@pytest.mark.parametrize("name", CHANGES)
def test_the_counts_are_true(tmp_path: Path, name: str) -> None:
    _, _, clock = world(tmp_path)
    disk = CountingDisk()
    change, count = CHANGES[name]
    change(Repository(tmp_path / "hub", clock, write=disk))
    assert disk.writes == count


@pytest.mark.parametrize(("name", "writes"), CRASHES)
def test_a_change_is_seen_whole_or_not_at_all(tmp_path: Path, name: str, writes: int) -> None:
    repository, client, clock = world(tmp_path)
    old = state(client)
    change, _ = CHANGES[name]
    with pytest.raises(Crash):
        change(Repository(tmp_path / "hub", clock, write=CrashingDisk(writes)))
    assert state(client) == old, "timestamp.json is written last"
    change(repository)
    new = state(client)
    assert new[2] == old[2] + 1
    assert new != old
    assert not list((tmp_path / "hub/repository/metadata").glob(f".*{UNFINISHED}")), "what was left behind is removed"


@pytest.mark.parametrize("writes", range(6))
def test_a_repository_that_was_never_completed_is_made_anew(tmp_path: Path, writes: int) -> None:
    make_keys(tmp_path / "hub")
    with pytest.raises(Crash):
        Repository(tmp_path / "hub", write=CrashingDisk(writes)).create(SHOP)
    repository = Repository(tmp_path / "hub")
    assert not repository.exists
    repository.create(SHOP)
    assert Client(tmp_path / "client", repository).assignment() is None


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    replace_file(path, b"old")
    with pytest.raises(TypeError):
        replace_file(path, "text")  # type: ignore[arg-type]  # the flaw
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
    replace_file(path, b"new", mode=0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
