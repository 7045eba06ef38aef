"""The drifting shop of `learning_world` behind the production engine: decided, written down, learned from, swapped.

    stream --question--> decide() with a bundle --record--> ledger --logged_rows--> fit_linear --ONNX--> next bundle

What a node does (feature rows, ONNX, policy, draw, record) and what the hub does (ledger, join, fit, export) is their
own code. The network between them, and the signature, are left out; time is the stream's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Final, NamedTuple

import numpy as np
from learning_world import CATEGORIES, DAYPARTS, DEVICES, FORMATS, ITEMS, PERSONAS, Stream, category_of, format_of
from numpy.typing import NDArray

from edge.scoring.scorer import OnnxScorer
from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.catalogue import AttributeValue, Catalogue, Item, content_sha256, encode_catalogue
from edgewise.bundle.exploration import Exploration, Thompson
from edgewise.bundle.golden import Golden, encode_golden, golden_rows
from edgewise.bundle.manifest import (
    CATALOGUE,
    FEATURES,
    GOLDEN,
    POLICY,
    PROTOCOL_VERSION,
    Manifest,
    ModelEntry,
    Resource,
    encode_manifest,
)
from edgewise.bundle.policy import Arm, ByModel, ByPriority, Placement, Policy, Site, encode_policy
from edgewise.consent import Grants
from edgewise.decide import decide
from edgewise.draws import draw_from
from edgewise.features.encodings import Code
from edgewise.features.table import FeatureTable, encode_features
from edgewise.ids import (
    ArmName,
    BundleVersion,
    CollectionName,
    DecisionId,
    ItemId,
    MessageId,
    ModelName,
    PlacementName,
    Producer,
    SiteName,
    SubjectId,
    ulid,
)
from edgewise.keeping import ALL
from edgewise.profile.state import DAY_MS, Profile, Trait
from edgewise.question import Question
from edgewise.recorded import recorded
from edgewise.records import DecisionRecord, EventRecord, Record, Touch, encode_record
from edgewise.request import Context, Device, PlacementRequest
from hub.export.linear import export_linear
from hub.ledger.batch import Batch
from hub.ledger.ledger import Ledger
from hub.linear_model import LinearModel, Terms
from hub.site.recipes import DecisionRecipe, LinearRecipe, Outcome
from hub.train.boosting import Lesson
from hub.train.linear import fit_linear
from hub.train.logged import LoggedRows, logged_rows
from hub.train.positions import lesson_of_decisions

SITE: Final = SiteName("drifting-shop")
HERO: Final = PlacementName("hero")
RANKER: Final = ModelName("ranker")
NODE: Final = Producer("node/1/0")
GRANTED: Final = Grants(personalisation=True, analytics=True)
SALT: Final = "salt-of-the-drifting-shop"
BEGAN_MS: Final = 1_790_000_000_000
A_DAY: Final = 500
"""Decisions."""
STEP_MS: Final = DAY_MS // A_DAY
CLICKED: Final = Outcome("click")
ITEM_IDS: Final = tuple(ItemId(f"item-{number}") for number in range(ITEMS))

OF_VISITOR: Final = ("persona", "daypart", "device")
OF_ITEM: Final = ("item", "category", "format")
TABLE: Final = FeatureTable(
    [
        Code(name="persona", of="profile.traits.persona", values=PERSONAS),
        Code(name="daypart", of="context.attributes.daypart", values=DAYPARTS, purpose=None),
        Code(name="device", of="context.device.type", values=DEVICES, purpose=None),
        Code(name="item", of="item.sku", values=tuple(ITEM_IDS), purpose=None),
        Code(name="category", of="item.category", values=CATEGORIES, purpose=None),
        Code(name="format", of="item.format", values=FORMATS, purpose=None),
    ]
)
COLUMNS: Final = tuple(feature.name for feature in TABLE.features)


class Way(NamedTuple):
    """How the shop decides and learns."""

    exploration: Exploration
    every: int = 250
    """Decisions between two models."""
    half_life_days: float | None = 2.0
    l2: float = 8.0

    @property
    def linear(self) -> LinearRecipe:
        """Every fact about the visitor with every fact about the item."""
        return LinearRecipe(interactions=[(list(OF_VISITOR), list(OF_ITEM))], l2=self.l2)

    @property
    def decisions(self) -> DecisionRecipe:
        """All decisions, the recent ones more."""
        return DecisionRecipe(days=400, half_life_days=self.half_life_days)


KNOWS_NOTHING: Final = LinearModel(
    Terms(
        features=len(COLUMNS),
        fill=np.zeros(len(COLUMNS), np.float32),
        low=np.zeros(len(COLUMNS), np.float32),
        high=np.zeros(len(COLUMNS), np.float32),
        numbers=np.zeros(0, np.int64),
        centre=np.zeros(0, np.float32),
        stretch=np.zeros(0, np.float32),
        coded=np.array([0]),
        code=np.zeros(1, np.float32),
        left=np.zeros(0, np.int64),
        right=np.zeros(0, np.int64),
    ),
    intercept=0.0,
    weights=np.zeros(1),
    root=np.zeros((1, 1)),
    intercept_error=1.0,
    noise=1.0,
)
"""The model before any data: to it all items are alike, so that a policy that explores shows all alike."""


class Run(NamedTuple):
    """What came of a stream."""

    shown: NDArray[np.int64]
    """(n,): place of the item in the catalogue."""
    propensity: NDArray[np.float64]
    """(n,)"""
    logged: LoggedRows
    """What the last model learned from."""


def run(stream: Stream, way: Way, ledger: Ledger, told: Callable[[int], None] = lambda _done: None) -> Run:
    """Decide the whole stream. The ledger is empty before, and holds all of it but the last stretch after."""
    shown, propensity = np.empty(len(stream), np.int64), np.empty(len(stream))
    logged: list[LoggedRows] = []
    model, seq = KNOWS_NOTHING, 0
    for start in range(0, len(stream), way.every):
        served, end = Served(way, model, start), min(start + way.every, len(stream))
        records: list[Record] = []
        for number in range(start, end):
            record, place = served.decided(stream, number, seq + len(records))
            shown[number], propensity[number] = place, served.propensity
            records.append(record)
            if stream.clicked[number, place]:
                records.append(_click(record, place, seq + len(records)))
        seq += len(records)
        told(end)
        if end < len(stream):
            ledger.store([Batch(NODE, [encode_record(one) for one in records])], _moment_ms(end))
            since_ms, until_ms = _moment_ms(start), _moment_ms(end)
            logged.append(logged_rows(ledger, HERO, CLICKED, COLUMNS, since_ms=since_ms, until_ms=until_ms))
            assert sum(len(part.size) for part in logged) == end, (end, [(len(p.size), p.left_out) for p in logged])
            model = fit_linear(lesson_of(together(logged), way, until_ms), way.linear)
    return Run(shown, propensity, together(logged))


class Served:
    """A bundle with one model, on a node."""

    def __init__(self, way: Way, model: LinearModel, version: int) -> None:
        is_uncertain = isinstance(way.exploration, Thompson)
        graph = export_linear(model, COLUMNS, with_error=is_uncertain).SerializeToString(deterministic=True)
        self._scorer = OnnxScorer(graph, outputs=2 if is_uncertain else 1)
        self.bundle = _bundle(way, graph, model, BundleVersion(version + 1))
        self._profiles = [_profile(persona) for persona in PERSONAS]
        self.propensity = 1.0

    def decided(self, stream: Stream, number: int, seq: int) -> tuple[DecisionRecord, int]:
        """Decision `number` of the stream as it is written down, and the place of what it shows."""
        now_ms = _moment_ms(number)
        profile = self._profiles[stream.persona[number]]
        question = Question(
            decision_id=DecisionId(ulid(now_ms, number.to_bytes(10))),
            unit=f"visitor-{number}",
            placements=(PlacementRequest(HERO),),
            context=Context(
                device=Device(DEVICES[stream.device[number]]),
                attributes={"daypart": DAYPARTS[stream.daypart[number]]},
            ),
            grants=GRANTED,
        )
        outcome = decide(
            question,
            profile,
            bundle=self.bundle,
            score=lambda _model, matrix: self._scorer.score(matrix),
            draw=draw_from(SALT, question.decision_id),
            now_ms=now_ms,
        )
        (item,) = outcome.decision.placements[HERO].items
        self.propensity = item.propensity
        record = recorded(
            question,
            outcome,
            profile,
            ALL,
            producer=NODE,
            seq=seq,
            subject=SubjectId(question.unit),
            now_ms=now_ms,
            is_deferred=False,
        )
        return record, ITEM_IDS.index(item.id)


def together(parts: Sequence[LoggedRows]) -> LoggedRows:
    """Rows of stretches, one behind the other."""
    joined: dict[str, object] = {"names": parts[0].names, "left_out": {}}
    for name in (field.name for field in fields(LoggedRows) if field.name not in joined):
        columns = [getattr(part, name) for part in parts]
        is_array = isinstance(columns[0], np.ndarray)
        joined[name] = np.concatenate(columns) if is_array else tuple(one for column in columns for one in column)
    return LoggedRows(**joined)  # type: ignore[arg-type]  # as many fields as it has


def lesson_of(logged: LoggedRows, way: Way, until_ms: int) -> Lesson:
    return lesson_of_decisions(logged, TABLE, way.decisions, until_ms=until_ms, fewest=1)


def _moment_ms(number: int) -> int:
    return BEGAN_MS + number * STEP_MS


def _click(record: DecisionRecord, place: int, seq: int) -> EventRecord:
    return EventRecord(
        producer=NODE,
        seq=seq,
        subject=record.subject,
        message_id=MessageId(f"click-{record.decision_id}"),
        type="track",
        name="Content Clicked",
        time_ms=record.time_ms + 1_000,
        received_ms=record.time_ms + 1_000,
        grants=record.grants,
        touches=(Touch(ITEM_IDS[place]),),
        decision_id=record.decision_id,
        placement=HERO,
    )


def _profile(persona: str) -> Profile:
    return Profile(traits={"persona": Trait(BEGAN_MS - DAY_MS, NODE, 0, persona)})


def _item(number: int) -> Item:
    content = {"title": f"Item {number}"}
    known: dict[str, AttributeValue] = {
        "sku": ITEM_IDS[number],
        "category": category_of(number),
        "format": format_of(number),
    }
    return Item(ITEM_IDS[number], content, known, approved_sha256=content_sha256(content), approved_by="editor")


def _policy(way: Way) -> Policy:
    everything = CollectionName("all")
    learned, editors = ArmName("learned"), ArmName("editors")
    placement = Placement(
        collection=everything,
        arms={learned: Arm(ByModel(RANKER), way.exploration), editors: Arm(ByPriority())},
        arm=learned,
        opted_out_arm=editors,
        fallback=[ITEM_IDS[0]],
    )
    return Policy(Site(SITE, SALT, feature_sample_share=0.0), {HERO: placement}, {everything: list(ITEM_IDS)})


def _bundle(way: Way, graph: bytes, model: LinearModel, version: BundleVersion) -> Bundle:
    row = np.zeros((1, len(COLUMNS)), np.float32)
    is_uncertain = isinstance(way.exploration, Thompson)
    said = np.column_stack([model.scores(row), model.errors(row)]) if is_uncertain else model.scores(row)
    files = {
        POLICY: encode_policy(_policy(way)),
        FEATURES: encode_features(TABLE),
        CATALOGUE: encode_catalogue(Catalogue([_item(number) for number in range(ITEMS)])),
        GOLDEN: encode_golden(Golden({RANKER: golden_rows(row, said)})),
        "models/ranker.onnx": graph,
    }
    manifest = Manifest(
        version=version,
        parent=None,
        site=SITE,
        created_ms=BEGAN_MS,
        expires_ms=BEGAN_MS + 400 * DAY_MS,
        protocol_version=PROTOCOL_VERSION,
        resources={path: Resource(hashlib.sha256(data).hexdigest(), len(data)) for path, data in files.items()},
        models={RANKER: ModelEntry("models/ranker.onnx", COLUMNS, uncertain=is_uncertain)},
        provenance={"made_by": "tests"},
    )
    return load_bundle(manifest, hashlib.sha256(encode_manifest(manifest)).hexdigest(), files)
