"""Who this node is, and the epochs under which its processes number their records."""

from __future__ import annotations

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
_MACHINE = Path("/etc/machine-id")
MOST_LEAP = 10_000_000
"""How far epochs leap when a folder finds itself elsewhere. A folder's name has room for a thousand such leaps; that
two copies of one folder leap equally far has a chance of one in ten million."""


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


def leap_if_copied(paths: NodePaths) -> int:
    """Leave epochs to other copies of this folder; returns how many, 0 where the folder is where it was.

    An image of a machine, or a copy of a folder, counts on from where it was taken, as does what it was taken from:
    both would give the same numbers to different records, and the hub would keep those of one. What was recorded before
    has the same numbers in both and may be shipped by both. A copy is told by the machine, and by the file that holds
    the node's name: a copied file is another one. Called by the supervisor before anything takes an epoch.

    Raises:
        UnavailableError: as `next_epoch`.
    """
    place = f"{_MACHINE.read_text('ascii', 'replace').strip() if _MACHINE.exists() else ''} {paths.node.stat().st_ino}"
    try:
        before = paths.place.read_text("utf-8", "replace").strip()
    except FileNotFoundError:
        before = place
    leap = 0 if before == place else 1 + secrets.randbelow(MOST_LEAP)
    if leap:
        next_epoch(paths, leap)
    if leap or not paths.place.exists():
        replace_file(paths.place, f"{place}\n".encode())
    return leap


def next_epoch(paths: NodePaths, ahead: int = 1) -> int:
    """A number that no process of this node had before, `ahead` of the last one; durable before it is returned.

    Numbering starts anew in every epoch, so that after any crash, whatever it left unwritten, an event's
    (node, epoch, worker, seq) never names two contents.

    Raises:
        UnavailableError: the counter is damaged. It is not guessed: a number used twice would lose events without
            a trace, while a new node name costs nothing.
    """
    descriptor = os.open(paths.epoch, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        text = os.pread(descriptor, _DIGITS + 2, 0)
        epoch = max(_number(paths, text), _newest_spooled(paths)) + ahead
        os.pwrite(descriptor, f"{epoch:0{_DIGITS}}\n".encode(), 0)
        os.fsync(descriptor)
        if not text:
            sync_folder(paths.root)  # the file's name, too: without it the counting would begin again
    finally:
        os.close(descriptor)
    return epoch


def check_epoch(paths: NodePaths) -> None:
    """Raises UnavailableError when `next_epoch` would, without taking a number."""
    if paths.epoch.exists():
        _number(paths, paths.epoch.read_bytes())


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
