"""All that one worker process has in hand when a request comes in. Opened once, after the process was spawned."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterable
from typing import Final, Self

from edge.codes.counter import CodeCounter
from edge.codes.stock_file import StockFile
from edge.log import Log
from edge.node.bundles import BundleStore
from edge.node.doorbell import SPOOL, WANTED
from edge.node.epochs import next_epoch, node_id
from edge.node.facts_file import FactsFile
from edge.node.keys import SiteKeys, load_site_keys
from edge.node.layout import NodePaths, doorbell_address
from edge.node.statement_time import StatementTime
from edge.node.status import WorkerStatus
from edge.profiles.cache import ProfileCache
from edge.profiles.cache_file import CacheError, Txn
from edge.profiles.readers import ReaderWatch
from edge.profiles.recall import statements_in
from edge.profiles.recent import RecentDecisions, RecentMessages, RememberedDecision
from edge.settings import EdgeSettings
from edge.spool.writer import SpoolWriter
from edge.worker.admission import Admission, shedding
from edge.worker.condition import Condition
from edge.worker.identity import Access, Doorman
from edge.worker.live_bundle import LiveBundle, Served
from edge.worker.metrics import Counts
from edge.worker.tally import Tally, going_on, inherited_tally
from edge.worker.word import Word
from edgewise.bundle.promotions import PromotionName
from edgewise.clock import Clock
from edgewise.consent import Consent
from edgewise.ids import DecisionId, NodeId, SubjectId, producer
from edgewise.reasons import State

MOST_UNFLUSHED: Final = 20_000
"""Decisions, and subjects, that wait for the next flush."""


class Desk:
    """One worker's tools. Belongs to one event loop."""

    def __init__(
        self,
        settings: EdgeSettings,
        *,
        index: int,
        node: NodeId,
        epoch: int,
        keys: SiteKeys,
        cache: ProfileCache,
        clock: Clock,
        log: Log,
        entropy: Callable[[int], bytes] = os.urandom,
        open_spool: Callable[..., SpoolWriter] = SpoolWriter,
    ) -> None:
        """`open_spool` takes what `SpoolWriter` takes: a spool whose disk may fail, where that is to be proven."""
        self.settings = settings
        self.paths: NodePaths = settings.paths
        self.index = index
        self.node = node
        self.epoch = epoch
        self.keys = keys
        self.clock = clock
        self.log = log
        self.entropy = entropy
        self.cache = cache
        self.readers = ReaderWatch(cache.file)
        self.oldest_reader_ms = 0.0
        """How long somebody has been reading the cache by now, as of the last look."""
        self.messages = RecentMessages(cache.file)
        self.decisions = RecentDecisions(cache.file)
        self.statement_time = StatementTime(self.paths.statement_time)
        self.spool = open_spool(
            self.paths.producer(epoch, index),
            producer=producer(node, epoch, index),
            most_bytes=settings.spool_most_bytes,
            segment_bytes=settings.segment_bytes,
            on_synced=lambda: self.ring(SPOOL),
        )
        self._doorbell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        facts = FactsFile(self.paths) if settings.live_facts else None
        self.live = LiveBundle(BundleStore(self.paths), facts, log=log)
        self.doorman = Doorman(
            keys,
            host=settings.host,
            loopback_is_operator=settings.trusts_loopback,
            operator_keys_sha256=settings.operator_keys_sha256,
            server_keys_sha256=settings.server_keys_sha256,
        )
        self.condition = Condition(self.paths, has_hub=self.has_hub, stale_after_ms=settings.stale_after_ms)
        self.admission = Admission(target_ms=settings.queue_delay_target_ms, most_ms=settings.queue_delay_most_ms)
        """What is left out of answers while there is more work than time."""
        self._inherited = inherited_tally(self.paths, index)
        self.counts: Counts = self._inherited.counts
        """Of this worker and its predecessors."""
        self.codes = CodeCounter(StockFile(self.paths), cache.file, self.counts.coded)
        self._decisions_before = self.counts.decisions_made
        self.is_listening = False
        self.wanted: set[SubjectId] = set()
        """Subjects to be asked of the hub with the next flush."""
        self.asking = asyncio.Event()
        """Somebody is wanted: what he does elsewhere meanwhile does not count here until the hub has been asked."""
        self._word = Word(self.paths.worker_status(index), self.paths.tally(index))
        self.unflushed: dict[DecisionId, RememberedDecision] = {}
        """Decisions to be remembered with the next flush."""

    @classmethod
    def open(cls, settings: EdgeSettings, *, index: int, clock: Clock, log: Log) -> Self:
        """Open everything; the bundle is loaded, so that the first request is answered by it.

        Raises:
            UnavailableError: a file of the node cannot be used.
        """
        paths = settings.paths
        paths.create()
        desk = cls(
            settings,
            index=index,
            node=node_id(paths),
            epoch=next_epoch(paths),
            keys=load_site_keys(paths),
            cache=ProfileCache.open(
                paths.profiles, map_bytes=settings.profile_map_bytes, has_hub=settings.hub is not None, clock=clock
            ),
            clock=clock,
            log=log,
        )
        desk.begin()
        return desk

    def begin(self) -> None:
        """Take in what the spool and the agent say, and load the bundle: after it a request can be answered."""
        if self.cache.is_unrecalled():
            with contextlib.suppress(CacheError):  # nobody is personalised meanwhile; upkeep tries again
                self.recall()
        self.live.load_now()
        self.condition.look()
        with contextlib.suppress(OSError):  # no code is promised meanwhile; upkeep tries again
            self.codes.take_in(self.codes.fetch(self._short_of_codes(), self.clock.now_ms()))

    async def close(self) -> None:
        """Write down what is left, and let go."""
        with contextlib.suppress(CacheError):
            self.flush()
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self.codes.bring_back, self.codes.let_go())
        await self.spool.close()
        self.cache.close()
        self._doorbell.close()

    async def stock_codes(self) -> None:
        """Have numbers in hand for the promotions of the bundle that answers. Raises OSError."""
        short = self._short_of_codes()
        if short or self.codes.is_behind():
            self.codes.take_in(await asyncio.to_thread(self.codes.fetch, short, self.clock.now_ms()))

    def _short_of_codes(self) -> list[PromotionName]:
        served = self.live.served
        self.codes.serves({} if served is None else served.bundle.policy.offers)
        return self.codes.short()

    # --- what requests ask for --------------------------------------------------------------------------------------
    @property
    def access(self) -> Access | None:
        """The site's list of callers, None without a bundle."""
        served = self.live.served
        return None if served is None else served.access

    @property
    def default_consent(self) -> Consent:
        """What holds for visitors who said nothing: the site's word, and nothing where the site is silent."""
        served = self.live.served
        return Consent() if served is None else served.bundle.policy.site.default_consent

    @property
    def has_hub(self) -> bool:
        """Whether there is somebody who may know more of a visitor than this node."""
        return self.settings.hub is not None

    def state(self, served: Served | None) -> State:
        """How current the node is, answering with `served`."""
        expires_ms = None if served is None else served.facts.expires_ms
        return self.condition.state(self.clock.now_ms(), serves=served is not None, facts_expire_ms=expires_ms)

    def looked_up(self, subject: SubjectId, *, found: bool, is_fresh: bool) -> None:
        """Count a look at the cache; who was not found is wanted, unless his id was made a moment ago."""
        if found:
            self.counts.cache_hits += 1
            return
        self.counts.cache_misses += 1
        if not is_fresh:
            self.want(subject)

    def want(self, subject: SubjectId) -> None:
        """Ask the hub, if there is one, with the next flush, which `asking` brings near."""
        if self.has_hub and len(self.wanted) < MOST_UNFLUSHED:
            self.wanted.add(subject)
            self.asking.set()

    def want_all(self, subjects: Iterable[SubjectId]) -> None:
        """As `want`, for several."""
        for subject in subjects:
            self.want(subject)

    def remember(self, decision_id: DecisionId, decision: RememberedDecision) -> None:
        """Keep a decision for `why`; the oldest goes when a failing cache lets them pile up."""
        if len(self.unflushed) >= MOST_UNFLUSHED:
            del self.unflushed[next(iter(self.unflushed))]
        self.unflushed[decision_id] = decision

    def recall(self) -> None:
        """Take in what the spool knows of visitors' statements, after the cache was made anew.

        Raises:
            CacheError: they do not fit; who has stated nothing since is not personalised.
        """
        # Who was never enrolled has never shipped anything.
        is_all = not self.has_hub and not self.paths.trusted_root.exists()
        self.cache.recall(statements_in(self.paths.spool), is_all=is_all)

    # --- what this process says of itself ---------------------------------------------------------------------------
    def own_status(self) -> WorkerStatus:
        """For the supervisor, the agent and the other workers."""
        served, refused = self.live.served, self.live.refused
        return WorkerStatus(
            index=self.index,
            pid=os.getpid(),
            epoch=self.epoch,
            written_ms=self.clock.now_ms(),
            listening=self.is_listening,
            bundle_digest=None if served is None else served.bundle.digest,
            bundle_version=None if served is None else served.bundle.version,
            refused_digest=None if refused is None else refused.digest,
            refused_code="" if refused is None else refused.code,
            refused_detail="" if refused is None else refused.detail,
            decisions=self.counts.decisions_made - self._decisions_before,
            shedding=shedding(self.admission),
        )

    def own_tally(self) -> Tally:
        """Its counters, and those of its predecessors."""
        agent, folder = self.condition.agent, self.paths.producer(self.epoch, self.index).name
        stored_seq = -1 if agent is None else agent.stored_seqs.get(folder, -1)
        return going_on(self._inherited, self.spool, epoch=self.epoch, stored_seq=stored_seq, counts=self.counts)

    def tell(self) -> None:
        """Write both down, now. Raises OSError when that cannot be."""
        self.spoken()()

    def spoken(self) -> Callable[[], None]:
        """Both as they are now, to be written down by another thread, which may raise OSError."""
        return self._word.spoken(self.own_status(), self.own_tally())

    # --- between requests -------------------------------------------------------------------------------------------
    def flush(self) -> None:
        """Let the other workers, and the agent, have what waits to be remembered or asked for.

        Raises:
            CacheError: it waits on.
        """
        wanted, decisions, promises = self.wanted, self.unflushed, self.codes.unflushed
        if not (wanted or decisions or promises or self.cache.has_uses):
            return

        def change(txn: Txn) -> None:
            self.decisions.remember(txn, decisions.items())
            self.codes.remember(txn, promises)
            self.cache.want_in(txn, wanted)
            self.cache.stamp_in(txn)

        self.cache.write(change)
        self.cache.forget_uses()
        self.wanted, self.unflushed, self.codes.unflushed = set(), {}, {}
        if wanted:
            self.ring(WANTED)

    def ring(self, what: bytes) -> None:
        """Tell the agent; it looks by itself, too, so nothing depends on being heard."""
        with contextlib.suppress(OSError):
            self._doorbell.sendto(what, doorbell_address(self.node))
