"""Who this node is, and the epochs under which its processes number their records."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

import msgspec

from edge.node.durable import create_file, replace_file, sync_folder
from edge.node.layout import NodePaths, producer_of
from edgewise.errors import MALFORMED, UnavailableError
from edgewise.ids import NodeId

_DIGITS = 20
_LEAP = 1 << 20
"""How far apart copies of a folder go on: they meet once in a million, and ten digits last for 20,000 boots."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MACHINE = Path("/etc/machine-id")


class _Place(msgspec.Struct, frozen=True):
    """Where a folder lies; a copy of it, on another machine or beside it, lies elsewhere."""

    machine: str
    boot: str
    """A disk image that is started twice differs in this only."""
    inode: int


class _Node(msgspec.Struct, frozen=True):
    node_id: NodeId


def node_id(paths: NodePaths) -> NodeId:
    """The node's name, made at the first call on a folder: `n-` and 80 random bits.

    Raises:
        UnavailableError: node.json is there and cannot be read.
    """
    if not paths.node.exists():
        create_file(paths.node, msgspec.json.encode(_Node(NodeId(f"n-{secrets.token_hex(10)}"))) + b"\n")
    try:
        return msgspec.json.decode(paths.node.read_bytes(), type=_Node).node_id
    except (OSError, *MALFORMED) as wrong:
        raise UnavailableError(f"{paths.node}: {wrong}; without it the node does not know its name") from wrong


def next_epoch(paths: NodePaths) -> int:
    """A number that no process of this node had before, 1 or more; durable before it is returned.

    Numbering starts anew in every epoch, so that after any crash, whatever it left unwritten, an event's
    (node, epoch, worker, seq) never names two contents. A folder that was copied counts on from a random number a
    little higher, at both places if need be: two nodes of one name would otherwise take the same numbers.

    Raises:
        UnavailableError: the counter is damaged. It is not guessed: a number used twice would lose events without
            a trace, while a new node name costs nothing.
    """
    descriptor = os.open(paths.epoch, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        text = os.pread(descriptor, _DIGITS + 2, 0)
        place = _place_of(descriptor)
        is_moved = bool(text) and place != _last_place(paths)
        epoch = max(_number(paths, text), _newest_spooled(paths)) + 1 + (secrets.randbelow(_LEAP) if is_moved else 0)
        os.pwrite(descriptor, f"{epoch:0{_DIGITS}}\n".encode(), 0)
        os.fsync(descriptor)
        if not text:
            sync_folder(paths.root)  # the file's name, too: without it the counting would begin again
        if is_moved or not text:
            with contextlib.suppress(OSError):  # a full disk: then the next one leaps again
                replace_file(paths.place, msgspec.json.encode(place), durable=False)
    finally:
        os.close(descriptor)
    return epoch


def check_epoch(paths: NodePaths) -> None:
    """Raises UnavailableError when `next_epoch` would, without taking a number."""
    if paths.epoch.exists():
        _number(paths, paths.epoch.read_bytes())


def boot_id() -> str:
    """Which start of the machine this is, by a name that no other has; empty where the kernel does not say."""
    return _text_of(_BOOT)


def _place_of(descriptor: int) -> _Place:
    return _Place(_text_of(_MACHINE), boot_id(), os.fstat(descriptor).st_ino)


def _text_of(file: Path) -> str:
    return file.read_text("ascii").strip() if file.exists() else ""


def _last_place(paths: NodePaths) -> _Place | None:
    with contextlib.suppress(OSError, *MALFORMED):
        return msgspec.json.decode(paths.place.read_bytes(), type=_Place)
    return None


def _number(paths: NodePaths, text: bytes) -> int:
    if not text:
        return 0  # made, and not yet written to
    if len(text) != _DIGITS + 1 or not text[:-1].isdigit() or not text.endswith(b"\n"):
        raise UnavailableError(
            f"{paths.epoch} holds {text!r}, expected {_DIGITS} digits; "
            "delete it together with node.json, and the node takes a new name"
        )
    return int(text)


def _newest_spooled(paths: NodePaths) -> int:
    """The highest epoch that has a spool folder, so that a lost counter file cannot reach back into the spool."""
    found = [producer_of(folder.name) for folder in paths.spool.iterdir()] if paths.spool.exists() else []
    return max((key.epoch for key in found if key), default=0)
