"""A disk that may lose power at any moment, under everything that writes through `edge.spool.files`.

Calls go to a real folder, so that readers see what a kernel would show them, and into a journal. Replayed up to any
call, the journal says what was durable then and what was only in the page cache; of that, a power loss keeps what the
seed decides: writes are dropped, torn, or kept while earlier ones are not; so are names. Content is durable by a sync
of its file, a name by a sync of its folder, and by nothing else. After a sync that failed, what it was to make durable
stays doubtful whatever later ones say.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from fault_seeds import Random
from typing_extensions import override

from edge.spool.files import SystemFiles


class Call(NamedTuple):
    """One entry of the journal; `note` is the test's own."""

    kind: str
    inode: int
    arguments: tuple[Any, ...] = ()


@dataclass
class Odds:
    """How often calls fail, in [0, 1]."""

    append: float = 0.0
    short: float = 0.0
    """Of the appends that fail: those that leave a part behind."""
    truncate: float = 0.0
    sync: float = 0.0
    folder: float = 0.0
    create: float = 0.0


ROOT = 0
ATOMIC_BYTES = 8
"""What lies in one sector, and is overwritten in place, is there whole or not at all."""


class SyncsWhenTold(SystemFiles):
    """The machine's own disk; while `is_failing`, nothing can be made durable."""

    def __init__(self) -> None:
        self.is_failing = False

    @override
    def sync(self, descriptor: int) -> None:
        if self.is_failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(descriptor)


class LossyFiles(SystemFiles):
    """Everything below `root`; what is there already is durable, what others do there is not seen."""

    def __init__(self, root: Path, random: Random, odds: Odds | None = None) -> None:
        self.journal: list[Call] = []
        self.odds = Odds() if odds is None else odds
        self.appends = 0
        self._root = root
        self._random = random
        self._inodes: dict[Path, int] = {root: ROOT}
        self._open: dict[int, int] = {}
        self._made = ROOT
        self._adopt(root)

    def lose_power(self, into: Path) -> None:
        """Write what a power loss leaves behind, now, into an empty folder."""
        platter = Platter()
        for call in self.journal:
            platter.take(call)
        platter.survivors(self._random, into)

    def note(self, *what: Any) -> None:
        """Remember at which point of the journal something was promised or done."""
        self.journal.append(Call("note", ROOT, what))

    @override
    def make_folder(self, folder: Path) -> None:
        super().make_folder(folder)
        self._link(folder, "folder")

    @override
    def create(self, path: Path, *, appends: bool) -> int:
        self._fail(self.odds.create if appends else 0.0, errno.ENOSPC)
        descriptor = super().create(path, appends=appends)
        self._open[descriptor] = self._link(path, "file")
        return descriptor

    @override
    def open(self, path: Path) -> int:
        descriptor = super().open(path)
        self._open[descriptor] = self._inodes[path]
        return descriptor

    @override
    def append(self, descriptor: int, data: bytes) -> int:
        if self._random.random() < self.odds.append:
            if self._random.random() >= self.odds.short:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = data[: self._random.randrange(len(data))]
        offset = os.fstat(descriptor).st_size
        written = super().append(descriptor, data)
        self._add("write", descriptor, offset, data[:written])
        return written

    @override
    def overwrite(self, descriptor: int, data: bytes) -> None:
        super().overwrite(descriptor, data)
        self._add("write", descriptor, 0, data)

    @override
    def truncate(self, descriptor: int, size_bytes: int) -> None:
        self._fail(self.odds.truncate, errno.EIO)
        super().truncate(descriptor, size_bytes)
        self._add("truncate", descriptor, size_bytes)

    @override
    def sync(self, descriptor: int) -> None:
        if self._random.random() < self.odds.sync:
            self._add("doubt", descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._add("sync", descriptor)

    @override
    def sync_folder(self, folder: Path) -> None:
        self._fail(self.odds.folder, errno.EIO)
        self.journal.append(Call("sync folder", self._inodes[folder]))

    @override
    def rename(self, path: Path, to: Path) -> None:
        super().rename(path, to)
        inode = self._inodes[path]
        for known in [each for each in self._inodes if each == path or path in each.parents]:
            self._inodes[to / known.relative_to(path)] = self._inodes.pop(known)
        self.journal.append(Call("rename", self._inodes[path.parent], (path.name, to.name, inode)))

    @override
    def remove(self, path: Path) -> None:
        super().remove(path)
        if self._inodes.pop(path, None) is not None:
            self.journal.append(Call("unlink", self._inodes[path.parent], (path.name,)))

    @override
    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        self._open.pop(descriptor, None)

    @override
    def reserve(self, path: Path, size_bytes: int) -> None:
        """Room is what the odds say that there is; thousands of histories need not write it to this machine's disk."""

    def _adopt(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                self._link(path, "folder")
                self._adopt(path)
            else:
                inode = self._link(path, "file")
                self.journal += [Call("write", inode, (0, path.read_bytes())), Call("sync", inode)]
        self.journal.append(Call("sync folder", self._inodes[folder]))

    def _fail(self, odds: float, number: int) -> None:
        if self._random.random() < odds:
            raise OSError(number, os.strerror(number))

    def _link(self, path: Path, kind: str) -> int:
        self._made += 1
        self._inodes[path] = self._made
        self.journal.append(Call("link", self._inodes[path.parent], (path.name, self._made, kind)))
        return self._made

    def _add(self, kind: str, descriptor: int, *arguments: Any) -> None:
        self.journal.append(Call(kind, self._open[descriptor], arguments))


@dataclass
class _File:
    durable: bytes = b""
    pending: list[Call] = field(default_factory=list)
    doubtful: bool = False


@dataclass
class _Folder:
    durable: dict[str, int] = field(default_factory=dict)
    pending: list[Call] = field(default_factory=list)


class Platter:
    """What of a journal has reached the disk, call by call."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._folders: dict[int, _Folder] = {ROOT: _Folder()}

    def take(self, call: Call) -> None:
        """One more call has returned."""
        match call.kind:
            case "note":
                pass
            case "link" | "unlink" | "rename":
                self._folders[call.inode].pending.append(call)
                if call.kind == "link":
                    self._make(*call.arguments[1:])
            case "sync folder":
                folder = self._folders[call.inode]
                folder.durable = _named(folder.durable, folder.pending)
                folder.pending = []
            case "sync":
                file = self._files[call.inode]
                if not file.doubtful:
                    file.durable = _written(file.durable, file.pending)
                    file.pending = []
            case "doubt":
                # The kernel has told, and may have dropped, what it could not write.
                self._files[call.inode].doubtful = True
            case _:
                self._files[call.inode].pending.append(call)

    def _make(self, inode: int, kind: str) -> None:
        if kind == "folder":
            self._folders[inode] = _Folder()
        else:
            self._files[inode] = _File()

    def survivors(self, random: Random, into: Path) -> None:
        """Write what a power loss leaves behind, at this moment, into an empty folder."""
        self._survive(ROOT, random, into)

    def _survive(self, inode: int, random: Random, into: Path) -> None:
        folder = self._folders[inode]
        kept = _some(folder.pending, random)
        for name, each in _named(folder.durable, kept).items():
            if each in self._folders:
                (into / name).mkdir()
                self._survive(each, random, into / name)
            else:
                (into / name).write_bytes(self._content(self._files[each], random))

    @staticmethod
    def _content(file: _File, random: Random) -> bytes:
        kept = []
        for call in _some(file.pending, random):
            if call.kind == "write" and len(call.arguments[1]) > ATOMIC_BYTES and random.random() < 0.25:
                offset, data = call.arguments
                start, end = sorted((random.randrange(len(data) + 1), random.randrange(len(data) + 1)))
                # As in a sector that was under the head: some of it is new, the rest whatever was there.
                garbled = random.randbytes(len(data)) if random.random() < 0.5 else bytes(len(data))
                kept.append(call._replace(arguments=(offset, garbled[:start] + data[start:end] + garbled[end:])))
            else:
                kept.append(call)
        return _written(file.durable, kept)


def crash_points(journal: list[Call]) -> Iterator[tuple[Platter, list[tuple[Any, ...]]]]:
    """Every moment between two calls: what is on the disk, and what had been noted."""
    platter, noted = Platter(), list[tuple[Any, ...]]()
    yield platter, noted
    for call in journal:
        platter.take(call)
        if call.kind == "note":
            noted.append(call.arguments)
        else:
            yield platter, noted


def _some(pending: list[Call], random: Random) -> list[Call]:
    """In one of three crashes everything that was under way arrives, in one nothing, in one whatever the seed says."""
    share = random.choice([0.0, 0.5, 1.0])
    return [call for call in pending if random.random() < share]


def _written(content: bytes, calls: list[Call]) -> bytes:
    data = bytearray(content)
    for call in calls:
        if call.kind == "truncate":
            (size,) = call.arguments
            data = data[:size] if size <= len(data) else data + bytes(size - len(data))
        else:
            offset, new = call.arguments
            data += bytes(max(0, offset - len(data)))
            data[offset : offset + len(new)] = new
    return bytes(data)


def _named(names: dict[str, int], calls: list[Call]) -> dict[str, int]:
    after = dict(names)
    for call in calls:
        match call.kind:
            case "link":
                after[call.arguments[0]] = call.arguments[1]
            case "unlink":
                after.pop(call.arguments[0], None)
            case _:
                old, new, inode = call.arguments
                after.pop(old, None)
                after[new] = inode
    return after
