"""What a node writes down and ships: the payloads of spool frames, as tagged MessagePack.

Every record is numbered by its producer, (node, epoch, worker) and a sequence without holes, so that the hub
stores each exactly once and a missing number is always a declared gap. No record carries a raw identifier.
"""

from __future__ import annotations

from typing import Final

import msgspec

from edgewise.bundle.promotions import PromotionName
from edgewise.consent import Consent, Grants
from edgewise.ids import ArmName, BundleVersion, DecisionId, ItemId, MessageId, PlacementName, Producer, SubjectId
from edgewise.reasons import Degradation, Reason
from edgewise.request import Context, PlacementRequest

ANONYMOUS = SubjectId("")
"""The subject of what may be counted but not tied to a person."""


CERTAIN: Final = 1.0
"""One object, so that records leave it out where it is meant."""


class Touch(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):  # it can be part of no cycle
    """An item that an event is about, with what was known of it *when it happened*.

    Dimensions are written down at intake, so that folding a profile never depends on a catalogue's version.
    """

    item: ItemId
    quantity: int = 1
    value_minor: int = 0
    """Money for one piece, in the minor unit (cents) of the event's currency."""
    listed_minor: int = 0
    """What the catalogue asked for it, in the site's currency, where the event states no price in that."""
    rating: float | None = None
    dimensions: dict[str, tuple[str, ...]] = {}
    """`category`, `brand`, `topic` -> values."""


class EventRecord(msgspec.Struct, frozen=True, tag="event", tag_field="record", omit_defaults=True, gc=False):
    """Something a visitor did: one valid Segment call."""

    producer: Producer
    seq: int
    subject: SubjectId
    message_id: MessageId
    type: str
    """`track`, `identify`, `page`, `screen`, `group`, `alias`."""
    name: str
    """`Product Viewed`, …; for `page` and `screen` their name."""
    time_ms: int
    """When it happened, corrected by `sentAt`, never later than receipt."""
    received_ms: int
    grants: Grants
    touches: tuple[Touch, ...] = ()
    decision_id: DecisionId | None = None
    placement: PlacementName | None = None
    traits: dict[str, str | int | float | bool | None] = {}
    identifiers: dict[str, SubjectId] = {}
    """Kind of identifier -> its keyed hash."""
    currency: str = ""
    """ISO 4217 code of the prices; empty: the site's own."""
    engaged_ms: int = 0
    """How long the visitor was busy with it, where somebody measured that."""
    topics: tuple[str, ...] = ()
    """What time was spent on, or a ticket is about, where no item says so."""
    ticket: str = ""
    """Which ticket was opened or closed."""
    mood: float | None = None
    """Of who wrote the ticket, from -1, angry, to 1, pleased."""
    body: bytes = b""
    """The call as JSON without identifiers, for audit and later sources; at most 32 KiB. Empty for ANONYMOUS."""
    vouched: bool = False
    """A server or an import sent it; what a browser says of who it is, it only claims."""


class PreferenceRecord(msgspec.Struct, frozen=True, tag="preference", tag_field="record", omit_defaults=True):
    """A visitor's own will: dial, mutes, consent. Its lane is never dropped.

    None leaves what was said before.
    """

    producer: Producer
    seq: int
    subject: SubjectId
    time_ms: int
    received_ms: int
    dial: int | None = None
    mute: dict[str, tuple[str, ...]] | None = None
    """`categories`, `topics`, `brands`, `items` -> values."""
    more: tuple[str, ...] | None = None
    less: tuple[str, ...] | None = None
    consent: Consent = Consent()
    mail_days: int | None = None
    """At least so many days between two mails; 0: as they come."""
    erasure: str = ""
    """Id of a request to be erased, everywhere; nothing else is stated then. A field and not a kind of record: a hub
    that does not know it takes it for a statement that says nothing, and not for a dead letter."""


class FeatureRows(msgspec.Struct, frozen=True):
    """float32 feature rows, little endian, row-major, one row an item of `items`."""

    names: tuple[str, ...]
    items: tuple[ItemId, ...]
    data: bytes


class Shadow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an apprentice placement's challenger would have shown, first slot first (`edgewise.shadow`)."""

    arm: ArmName
    reason: Reason
    """As of an answer of that arm. A fallback's: it could not be asked, there was no time for it, or nobody to choose
    from; then nothing follows."""
    items: tuple[ItemId, ...] = ()
    """A blank id, always the last: nothing."""
    scores: tuple[float, ...] = ()
    propensities: tuple[float, ...] = ()
    """P(item in this slot | items of earlier slots), by the challenger."""
    agreements: tuple[float, ...] = ()
    """Of every slot that was in fact filled, or left empty by choice: with which probability the challenger would have
    done the same, given the slots before. Their product is the probability of what was shown."""


class DecisionRecord(msgspec.Struct, frozen=True, tag="decision", tag_field="record", omit_defaults=True):
    """Everything that is needed to compute a decision again, and to learn from it."""

    producer: Producer
    seq: int
    decision_id: DecisionId
    subject: SubjectId
    """Empty where consent does not allow to tie it to a person."""
    time_ms: int
    """The clock reading that `decide` was given."""
    bundle_version: BundleVersion
    bundle_digest: str
    facts_version: int
    placements: tuple[PlacementRequest, ...]
    context: Context
    grants: Grants
    dial: int
    degradation: Degradation
    applied: dict[Producer, int]
    """The profile that was read: highest applied sequence per producer."""
    decision: bytes
    """`canonical_bytes` of the decision."""
    shown: dict[PlacementName, FeatureRows] = {}
    """Feature rows of what was shown: of a model's own columns where one ranked; of all columns of the bundle, visitor
    scores left out, where a rule did in a placement that is to be learned from (`apprentice`, `logging-only`)."""
    sampled: dict[PlacementName, FeatureRows] = {}
    """Whole feature matrices, kept for a share of decisions."""
    sample_probability: float = 0.0
    force: dict[PlacementName, str | list[ItemId]] = {}
    explain: bool = False
    deferred: bool = False
    """True: it counts as shown only when its activation event arrives."""
    dry_run: bool = False
    mute: dict[str, tuple[str, ...]] = {}
    impressions: tuple[ItemId, ...] = ()
    """Items of placements with a frequency cap that count as shown by this decision."""
    unit: str = ""
    """What experiments hash: the subject, or a random unit where there is none."""
    shadows: dict[PlacementName, Shadow] = {}
    """What challengers of apprentice placements would have shown."""
    learning_probability: float = CERTAIN
    """With which probability it was kept for learning, in (0, 1]."""
    is_kept: bool = True
    """False: not to be learned from, and without feature rows. It counts for everything else."""
    enrolled: dict[str, ArmName] = {}
    """Experiments that remember who was in which arm (`edgewise.sticky`), and did not know it of this visitor yet."""
    unpromised: tuple[PromotionName, ...] = ()
    """As of the question."""
    promised: dict[PromotionName, int] = {}
    """Numbers of the codes that came with what was shown."""
    unrendered: dict[PlacementName, tuple[ItemId, ...]] = {}
    """Items that were decided and that no template could show: left out, so that these placements were not what was
    decided."""


class GapRecord(msgspec.Struct, frozen=True, tag="gap", tag_field="record"):
    """Records of one producer that were dropped on purpose; `seq` is the last one of them."""

    producer: Producer
    first_seq: int
    seq: int
    lane: str
    count: int


Record = EventRecord | PreferenceRecord | DecisionRecord | GapRecord

_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """The payload of one spool frame."""
    return _encoder.encode(record)


def decode_record(payload: bytes) -> Record:
    """Raises `msgspec.ValidationError` with a path, or `msgspec.DecodeError`, for anything that is no record."""
    return _decoder.decode(payload)
