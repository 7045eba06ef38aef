"""`/status` and `/metrics`: what all workers of the node say of themselves, merged by whichever is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import lmdb
import msgspec

from edge.codes.stock_file import StockFile
from edge.node.layout import SEATS, ProducerKey
from edge.node.status import WorkerStatus, read_status, worker_statuses
from edge.spool.reader import LOST
from edge.worker.answers import bundle_answer
from edge.worker.desk import Desk
from edge.worker.metrics import Gauges, add_up, exposition
from edge.worker.outcome import Outcome
from edge.worker.tally import Tally, inherited_tally, pending_records, read_tallies
from edgewise.bundle.promotions import Promotion, PromotionName
from edgewise.ids import PlacementName
from edgewise.reasons import State


class BundleStatus(msgspec.Struct, frozen=True, rename="camel"):
    """What answers."""

    version: int
    """0: the starter bundle; or nothing yet, and then the digest is blank."""
    digest: str
    age_seconds: float


class LiveFactsStatus(msgspec.Struct, frozen=True, rename="camel"):
    """Numbers that change faster than releases, as this node decides with them now."""

    version: int = 0
    """0: none are in force; then the released catalogue alone counts."""
    age_seconds: float | None = None
    """Since the hub issued what this node has; None where it has none."""
    halted: bool = False
    """The kill switch is on: the hub's, or this node's own setting `live_facts`."""
    expired: bool = False
    """Nobody renewed the numbers: released ones are back; what was sold out stays so."""
    items: int = 0
    """Items of the catalogue with a live number in force."""
    sold_out: int = 0
    refused: str = ""
    """Why newer ones are not taken; empty while there is nothing to say."""


class HubStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The line to the hub."""

    connected: bool
    last_seen_seconds: float | None
    """None: never."""
    address: str | None
    error: str


class SpoolStatus(msgspec.Struct, frozen=True):
    """created = stored + dropped + pending, since the node's folder was made."""

    bytes: int
    created: int
    stored: int
    dropped: int
    pending: int
    dropped_by_lane: dict[str, int] = msgspec.field(default_factory=dict, name="droppedByLane")
    """`dropped`, lane by lane (`edge.spool.lanes`); `lost`: frames that were damaged or gone when the agent came."""


class EventsStatus(msgspec.Struct, frozen=True, rename="camel"):
    """Events since the node's folder was made, each counted once; what became of them (`edge.worker.outcome`)."""

    accepted: int = 0
    """Stored, and counted in their visitors' profiles."""
    analytics_only: int = 0
    """Stored with their visitors, who have not granted personalisation: no profile is moved by them."""
    without_consent: int = 0
    """Counted, and tied to nobody."""
    duplicate: int = 0
    rejected: int = 0
    without_profile: dict[str, int] = {}
    """`analyticsOnly` and `withoutConsent` by why: `pending` (nobody has granted it, and the site's default does not),
    `denied`, `dial`, `gpc`, `unheard`, `nobody`, `cache`."""


class ProfilesStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The profile cache."""

    count: int
    bytes: int
    generation: int = 0
    """How often it was begun anew because it was damaged."""
    oldest_reader_seconds: float = 0.0
    """How long somebody has been reading it by now: more than some seconds is a process that hangs."""


class WorkerEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One worker process; `pid` None while it does not run."""

    index: int
    pid: int | None
    listening: bool
    bundle_version: int | None
    bundle_digest: str | None
    decisions: int
    refused: str
    """Why a newer bundle is not served; empty while there is nothing to say."""
    shedding: str = "nothing"
    """What high load makes this worker leave out for some requests: `nothing`, `debug`, `rerank`, `default`, `refuse`.
    Each stage includes those before it."""


class CodesStatus(msgspec.Struct, frozen=True, rename="camel"):
    """What the node may promise of one promotion, beside the few numbers that workers have in hand."""

    left: int
    until_ms: int | None
    """When the last of its leases ends; null without any."""
    has_key: bool
    """Whether codes of it can be verified and written here."""
    is_open: bool
    """Whether it is time for it."""


class StatusAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The whole node."""

    node: str
    state: State
    bundle: BundleStatus
    live_facts: LiveFactsStatus
    placements: list[PlacementName]
    hub: HubStatus
    spool: SpoolStatus
    events: EventsStatus
    profiles: ProfilesStatus
    workers: list[WorkerEntry]
    codes: dict[PromotionName, CodesStatus] | msgspec.UnsetType = msgspec.UNSET
    """Promotions of the bundle, where it has any."""


def _codes(
    desk: Desk, offers: Mapping[PromotionName, Promotion], now_ms: int
) -> dict[PromotionName, CodesStatus] | msgspec.UnsetType:
    if not offers:
        return msgspec.UNSET
    stock = StockFile(desk.paths).stock()
    keys = {(key.promotion, key.generation) for key in stock.keys}
    return {
        name: CodesStatus(
            left=stock.left(name, now_ms),
            until_ms=max((lease.until_ms for lease in stock.leases if lease.promotion == name), default=None),
            has_key=(name, promotion.generation) in keys,
            is_open=promotion.is_open(now_ms),
        )
        for name, promotion in sorted(offers.items())
    }


def node_status(desk: Desk) -> StatusAnswer:
    """Merge what is known now."""
    served, condition = desk.live.served, desk.condition
    now_ms = desk.clock.now_ms()
    count, size_bytes = _figures(desk)
    seen_ms = condition.last_seen_ms
    told = bundle_answer(served, desk.state(served), now_ms)
    return StatusAnswer(
        node=desk.node,
        state=desk.state(served),
        bundle=BundleStatus(told.version, told.digest, told.age_seconds),
        live_facts=_live_facts(desk, now_ms),
        placements=[] if served is None else sorted(served.bundle.placements),
        hub=HubStatus(
            connected=condition.is_connected,
            last_seen_seconds=None if seen_ms is None else max(0, now_ms - seen_ms) / 1_000,
            address=desk.settings.hub,
            error=condition.agent.last_error if condition.agent else "",
        ),
        spool=_spool(desk),
        events=_events(desk),
        profiles=ProfilesStatus(count, size_bytes, desk.cache.file.generation, desk.oldest_reader_ms / 1_000),
        codes=msgspec.UNSET if served is None else _codes(desk, served.bundle.policy.offers, now_ms),
        workers=[_entry(index, status) for index, status in enumerate(_workers(desk))],
    )


def _figures(desk: Desk) -> tuple[int, int]:
    try:
        return desk.cache.figures()
    except lmdb.Error as wrong:
        desk.cache.file.note(wrong)
        return 0, 0


def node_metrics(desk: Desk) -> bytes:
    """Prometheus text."""
    served = desk.live.served
    told = bundle_answer(served, desk.state(served), desk.clock.now_ms())
    tallies = _tallies(desk)
    gauges = Gauges(
        bundle_version=told.version,
        bundle_age_seconds=told.age_seconds,
        facts_version=0 if served is None else served.facts.version,
        spool_bytes=desk.spool.spooled_bytes,
        hub_connected=desk.condition.is_connected,
        workers=sum(status is not None and status.listening for status in _workers(desk)),
        dropped_by_lane=_dropped_by_lane(desk, tallies),
    )
    return exposition(add_up(tally.counts for tally in tallies.values()), gauges)


def _live_facts(desk: Desk, now_ms: int) -> LiveFactsStatus:
    served, sheet, agent = desk.live.served, desk.live.sheet, desk.condition.agent
    refused = agent.facts_nack if agent else None
    said = f"{refused.code}: {refused.detail}" if refused else ""
    if sheet is None or served is None:
        return LiveFactsStatus(halted=not desk.settings.live_facts, refused=said)
    return LiveFactsStatus(
        version=served.facts.version,
        age_seconds=max(0, now_ms - sheet.issued_ms) / 1_000,
        halted=sheet.halted,
        expired=not sheet.halted and now_ms >= sheet.expires_ms,
        items=served.facts.items,
        sold_out=len(served.facts.sold_out),
        refused=said,
    )


def _workers(desk: Desk) -> list[WorkerStatus | None]:
    statuses, own = worker_statuses(desk.paths, desk.settings.workers), desk.own_status()
    worker = desk.index % SEATS
    if worker < len(statuses):
        told = statuses[worker]
        # Its successor may answer already.
        if told is None or not told.listening or told.epoch <= own.epoch:
            statuses[worker] = own
    return statuses


def _tallies(desk: Desk) -> dict[int, Tally]:
    """Others' as of their last word, half a second ago at most; our own as of now.

    A dead one's as its successor will take it over, which may still be starting.
    """
    told = {
        index: tally if _is_running(desk, index) else inherited_tally(desk.paths, index)
        for index, tally in read_tallies(desk.paths).items()
    }
    return told | {desk.index: desk.own_tally()}


def _is_running(desk: Desk, index: int) -> bool:
    return read_status(desk.paths.worker_status(index), WorkerStatus) is not None


def _spool(desk: Desk) -> SpoolStatus:
    tallies, agent = _tallies(desk), desk.condition.agent
    created = sum(tally.created for tally in tallies.values())
    lost = agent.records_lost if agent else 0
    dropped = min(created, sum(tally.dropped for tally in tallies.values()) + lost)
    living = {
        ProducerKey(tally.epoch, index): (tally.epoch_created, tally.dropped_unstored)
        for index, tally in tallies.items()
        if index == desk.index or _is_running(desk, index)
    }
    pending = pending_records(desk.paths, living, agent.stored_seqs if agent else {})
    # What the others say is half a second old at most, what their spools hold is not.
    pending = min(pending, created - dropped)
    return SpoolStatus(
        bytes=desk.spool.spooled_bytes,
        created=created,
        stored=created - dropped - pending,
        dropped=dropped,
        pending=pending,
        dropped_by_lane=_dropped_by_lane(desk, tallies),
    )


def _events(desk: Desk) -> EventsStatus:
    counts = add_up(tally.counts for tally in _tallies(desk).values())
    outcomes = Counter[str]()
    for each in counts.events.values():
        outcomes.update(each)
    return EventsStatus(
        **{outcome.value: outcomes[outcome] for outcome in Outcome}, without_profile=dict(sorted(counts.unkept.items()))
    )


def _dropped_by_lane(desk: Desk, tallies: Mapping[int, Tally]) -> dict[str, int]:
    lanes = Counter({LOST: desk.condition.agent.records_lost if desk.condition.agent else 0})
    for tally in tallies.values():
        lanes.update(tally.dropped_by_lane)
    return {lane: count for lane, count in sorted(lanes.items()) if count}


def _entry(index: int, status: WorkerStatus | None) -> WorkerEntry:
    if status is None:
        return WorkerEntry(index, None, False, None, None, 0, "")
    return WorkerEntry(
        index,
        status.pid,
        status.listening,
        status.bundle_version,
        status.bundle_digest and f"sha256:{status.bundle_digest}",
        status.decisions,
        status.refused_detail,
        status.shedding,
    )
