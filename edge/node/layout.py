"""The files of one node, by name. Nothing is created here but empty folders.

Every process of a node finds the others' work by these paths, so a path is spelled nowhere else:

    node.json               the node's name, made at its first start
    epoch                   a counter; every process that numbers records takes a fresh value (`edge.node.epochs`)
    statement-time          the latest time that a visitor's statement carries (`edge.node.statement_time`)
    place                   where the folder lay when that number was taken: a copy of it counts elsewhere
    lock, agent.lock        held by the one supervisor and the one agent
    trust/                  site.json (keys, mode 0600), root.json (the pinned root), token (for the hub, mode 0600),
                            metadata/, assignment.json, facts (`edge.node.facts_file`)
    exported_models/        bundles by digest, `current`, `previous`, quarantine/ (`edge.node.bundles`)
    profiles/               LMDB, a cache (`edge.profiles.cache_file`)
    spool/EPOCH-WORKER/     one folder a producer: segments, and what it says of itself (`edge.spool.home`)
                            .EPOCH-WORKER while it is made, EPOCH-WORKER.gone while the agent deletes it
    run/                    worker-I.json and agent.json: what each process says of itself (`edge.node.status`)
                            tally-I.json: what the processes at a seat have counted (`edge.worker.tally`)
                            NAME.log: a process's log where it is not to go to standard error
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from edgewise.ids import NodeId

VARIABLE: Final = "EDGEWISE_EDGE_DATA_DIR"
SEGMENT_SUFFIX: Final = ".seg"
SEATS: Final = 256
"""A worker's successor starts while the worker still answers, and no two processes may write the same files: those of
worker I take turns at the seats I and I + SEATS, under which their files and records go."""
_PRODUCER_FOLDER: Final = re.compile(r"(\d{10})-(\d{3})")


class ProducerKey(NamedTuple):
    """Which of a node's producers: the epoch that its process took, and the worker's number."""

    epoch: int
    worker: int


class NodePaths:
    """All paths below one `--data-dir`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.node = root / "node.json"
        self.epoch = root / "epoch"
        self.statement_time = root / "statement-time"
        self.place = root / "place"
        self.lock = root / "lock"
        self.agent_lock = root / "agent.lock"
        self.trust = root / "trust"
        self.site = self.trust / "site.json"
        self.token = self.trust / "token"
        self.trusted_root = self.trust / "root.json"
        self.metadata = self.trust / "metadata"
        self.assignment = self.trust / "assignment.json"
        self.facts = self.trust / "facts"
        self.bundles = root / "exported_models"
        self.current = self.bundles / "current"
        self.previous = self.bundles / "previous"
        self.quarantine = self.bundles / "quarantine"
        self.profiles = root / "profiles"
        self.codes = root / "codes"
        self.codes_lock = root / "codes.lock"
        self.spool = root / "spool"
        self.run = root / "run"
        self.agent_status = self.run / "agent.json"

    def create(self) -> None:
        """Make the folders, for this user only: profiles and keys are nobody else's business."""
        for folder in (self.root, self.trust, self.metadata, self.bundles, self.quarantine, self.profiles):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.spool, self.run):
            folder.mkdir(mode=0o700, exist_ok=True)

    def bundle(self, digest: str) -> Path:
        """Folder of one bundle."""
        return self.bundles / digest

    def producer(self, epoch: int, worker: int) -> Path:
        """Spool folder of one producer. Raises ValueError for numbers that do not fit the name."""
        name = f"{epoch:010}-{worker:03}"
        if producer_of(name) != (epoch, worker):
            raise ValueError(f"epoch {epoch}, worker {worker}: at most 10 and 3 digits")
        return self.spool / name

    def worker_status(self, index: int) -> Path:
        """What the worker process at seat `index` says of itself."""
        return self.run / f"worker-{index}.json"

    def tally(self, index: int) -> Path:
        """What the processes at seat `index` have counted, one after the other."""
        return self.run / f"tally-{index}.json"

    def log(self, process: str) -> Path:
        """Where a process writes its log when it is not to go to standard error."""
        return self.run / f"{process}.log"


def producer_of(folder_name: str) -> ProducerKey | None:
    """The producer that a spool folder belongs to, None for any other name."""
    match = _PRODUCER_FOLDER.fullmatch(folder_name)
    return ProducerKey(int(match[1]), int(match[2])) if match else None


def segment_name(first_seq: int) -> str:
    """File name of the segment whose first record is `first_seq`."""
    return f"{first_seq:020}{SEGMENT_SUFFIX}"


def doorbell_address(node: NodeId) -> str:
    """The agent's abstract Unix datagram socket: workers ring it, and never wait for an answer.

    Abstract, because it vanishes with its owner: no stale file can be left behind. `b"s"`: a spool has more that
    is durable; `b"w"`: a profile is wanted.
    """
    return f"\0edgewise-{node}"


def default_data_dir(environment: Mapping[str, str], home: Path) -> Path:
    """`$EDGEWISE_EDGE_DATA_DIR`, else `edgewise/edge` under the XDG state home (freedesktop.org basedir-spec 0.8).

    A relative `$XDG_STATE_HOME` is ignored, as that specification demands.
    """
    if environment.get(VARIABLE):
        return Path(environment[VARIABLE]).expanduser()
    state = Path(environment.get("XDG_STATE_HOME", ""))
    return (state if state.is_absolute() else home / ".local" / "state") / "edgewise" / "edge"
