"""Bytes of a bundle into a `Bundle`: verified, decoded, checked and compiled, or refused as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from copy import copy
from typing import Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgewise.admission.acceptance import LIMITS, Limits, check_contents, check_manifest
from edgewise.admission.check_templates import check_templates
from edgewise.assign import CompiledExperiment, compile_experiments
from edgewise.bundle.catalogue import Item, decode_catalogue
from edgewise.bundle.golden import Golden, decode_golden
from edgewise.bundle.items import ItemTable, encoded_content
from edgewise.bundle.learned import UNNAMED, Learned, set_named
from edgewise.bundle.manifest import (
    CATALOGUE,
    FEATURES,
    GOLDEN,
    POLICY,
    SESSIONS,
    TEMPLATES,
    Manifest,
    ModelEntry,
)
from edgewise.bundle.neighbours import Neighbours, decode_neighbours
from edgewise.bundle.policy import Policy, decode_policy
from edgewise.bundle.promotions import PromotionName
from edgewise.bundle.refusal import malformed, refuse
from edgewise.bundle.sessions import decode_sessions
from edgewise.bundle.templates import decode_templates
from edgewise.bundle.vectors import Vectors, decode_vectors
from edgewise.candidates import Catalogued
from edgewise.events import DIMENSIONS
from edgewise.features.compile import CompiledFeatures
from edgewise.features.table import FeatureTable, decode_features
from edgewise.ids import BundleVersion, ItemId, ModelName, PlacementName
from edgewise.live_contents import LiveContents
from edgewise.promises import items_of_promotions
from edgewise.representations import Representations
from edgewise.scores import ScoreModel
from edgewise.templates.flaws import TemplateRefused
from edgewise.templates.released import ReadyTemplates
from edgewise.variants import Variants

T = TypeVar("T")
NO_CONTENT = b"null"
NO_TEMPLATES = ReadyTemplates(None)


class LoadedModel(msgspec.Struct, frozen=True):
    """A model's bytes, and which columns of the feature table it takes."""

    entry: ModelEntry
    onnx: bytes
    attribution: bytes | None
    features: tuple[int, ...]
    """The feature table's column of every feature that it takes."""
    columns: NDArray[np.intp] | None
    """The same as an array; None where they are all columns of the table, in order."""


class Bundle:
    """One release, ready to decide with. Immutable once made, so that threads may share it."""

    def __init__(
        self,
        manifest: Manifest,
        digest: str,
        *,
        policy: Policy,
        features: CompiledFeatures,
        learned: Learned,
        golden: Golden,
        models: dict[ModelName, LoadedModel],
        templates: ReadyTemplates = NO_TEMPLATES,
    ) -> None:
        """Use `load_bundle`: nothing is checked here."""
        self.manifest = manifest
        self.digest = digest
        """SHA-256 of the manifest, 64 hex digits."""
        self.policy = policy
        self.features = features
        self.learned = learned
        self.neighbours: Neighbours | None = learned.neighbours.get(UNNAMED)
        self.vectors: Vectors | None = learned.vectors.get(UNNAMED)
        self.golden = golden
        self.models = models
        self.templates = templates
        """How items are shown where a page asks for HTML, and the parts of mails."""
        self.items: ItemTable = features.items
        self.scores = {
            name: ScoreModel(model.entry, features) for name, model in models.items() if model.entry.kind == "score"
        }
        """Models that are asked about the visitor, one row a request."""
        self.placements: dict[PlacementName, Catalogued] = {
            name: Catalogued(
                placement, policy.collections[placement.collection], features, self.vectors, learned.vectors
            )
            for name, placement in policy.placements.items()
        }
        self.has_apprentices = any(placement.learning == "apprentice" for placement in policy.placements.values())
        """Whether some placement has a challenger that is asked beside."""
        for dimension in DIMENSIONS:
            self.items.dimension(dimension)  # mutes look at it: the first request that has some must not pay for it
        self.experiments: dict[PlacementName, CompiledExperiment] = compile_experiments(policy)
        self.variants = Variants(self.items)
        self.promoted = items_of_promotions(self.items.items)
        """Promotion -> the items that are shown with a code of it."""
        self.promotions: dict[PlacementName, frozenset[PromotionName]] = {
            name: frozenset(
                promotion
                for promotion, items in self.promoted.items()
                if not items.isdisjoint(policy.collections[placement.collection])
                or not items.isdisjoint(placement.fallback)
            )
            for name, placement in policy.placements.items()
        }
        """Placement -> those whose items it can show."""
        self.representations = Representations(self.items)
        self._content_json = {
            item.id: encoded_content(item)
            for item, is_approved in zip(self.items.items, self.items.approved.tolist(), strict=False)
            if is_approved
        }
        self.live_contents: LiveContents | None = None
        """Where contents show numbers that facts have changed."""

    def under(
        self,
        live: Mapping[str, NDArray[np.float64]],
        sold_out: frozenset[ItemId],
        in_stock: frozenset[ItemId] = frozenset(),
    ) -> Self:
        """This release with live numbers over some attributes and without what is sold out; see `live_facts`.

        What does not depend on them is shared, so that it costs a few arrays. `live`: as `ItemTable.under`; `in_stock`:
        items that are there again, whatever the release says of their stock.
        """
        made = copy(self)
        if live:
            contents = LiveContents(self.items, live, self.policy.site.shown_facts)
            made.live_contents = contents or None
            made.items = self.items.under(live)
            made.features = self.features.under(made.items, live)
        released = self.items.sold_out
        gone = np.zeros(len(self.items) + 1, np.bool_) if released is None else released.copy()
        for items, is_gone in ((in_stock, False), (sold_out, True)):
            codes = self.items.codes(list(items))
            gone[codes[codes >= 0]] = is_gone
        gone_or_none = gone if gone.any() else None
        made.placements = {
            name: catalogued.under(made.features, live, sold_out, gone_or_none)
            for name, catalogued in self.placements.items()
        }
        return made

    @property
    def version(self) -> BundleVersion:
        """The release's number."""
        return self.manifest.version

    def item(self, item_id: ItemId) -> Item | None:
        """An item of the catalogue, approved or not."""
        return self.items.item(item_id)

    def content_json(self, item_id: ItemId, variant: str = "", format_name: str = "") -> bytes:
        """The approved content of an item as JSON: its own, that of a variant, or its representation of a format.

        An item without a representation of the format has its own content there. `null` for an item that is unknown
        or not approved, and for a variant or representation that is neither. Numbers that the site shows live are those
        of the facts that this bundle is under.
        """
        released = self._released_json(item_id, variant, format_name)
        return released if self.live_contents is None else self.live_contents.of(item_id, released)

    def _released_json(self, item_id: ItemId, variant: str, format_name: str) -> bytes:
        if format_name:
            represented = self.representations.content_json(item_id, format_name)
            if represented is not None:
                return represented or NO_CONTENT
        if variant:
            return self.variants.content_json(item_id, variant) or NO_CONTENT
        return self._content_json.get(item_id, NO_CONTENT)


def load_bundle(
    manifest: Manifest, manifest_sha256: str, resources: Mapping[str, bytes], limits: Limits = LIMITS
) -> Bundle:
    """Verify size and digest of every resource, decode it, check that all hold together, and compile.

    Whether this node may run it (site, version, expiry) is `acceptance.accept`'s question. Raises BundleRefused, and
    nothing else, for whatever the bytes hold.
    """
    check_manifest(manifest, limits)
    for name, resource in manifest.resources.items():
        data = resources.get(name)
        if data is None:
            refuse("missing_resource", name, "announced, but not there", f"$.resources.{name}")
        if len(data) != resource.bytes:
            refuse("digest_mismatch", name, f"{len(data)} bytes, {resource.bytes} announced", "$")
        if hashlib.sha256(data).hexdigest() != resource.sha256:
            refuse("digest_mismatch", name, "its SHA-256 is not the one announced", "$")
    policy = _decode(POLICY, resources[POLICY], decode_policy)
    table = _decode(FEATURES, resources[FEATURES], decode_features)
    catalogue = _decode(CATALOGUE, resources[CATALOGUE], decode_catalogue)
    golden = _decode(GOLDEN, resources[GOLDEN], decode_golden)
    learned = _learned(manifest, resources)
    templates = _templates(manifest, resources)
    check_contents(
        manifest,
        policy=policy,
        table=table,
        catalogue=catalogue,
        learned=learned,
        golden=golden,
        limits=limits,
    )
    features = compiled_features(table, ItemTable(catalogue, policy.site.zones), learned)
    models = {name: _model(entry, features, resources) for name, entry in manifest.models.items()}
    return Bundle(
        manifest,
        manifest_sha256,
        policy=policy,
        features=features,
        learned=learned,
        golden=golden,
        models=models,
        templates=templates,
    )


def compiled_features(table: FeatureTable, items: ItemTable, learned: Learned) -> CompiledFeatures:
    """The feature table over everything that was learned. Raises as `CompiledFeatures`."""
    named = {name: rows for name, rows in learned.neighbours.items() if name != UNNAMED}
    return CompiledFeatures(
        table,
        items,
        learned.neighbours.get(UNNAMED),
        learned.vectors.get(UNNAMED),
        named=named,
        sessions=learned.sessions,
    )


def _learned(manifest: Manifest, resources: Mapping[str, bytes]) -> Learned:
    neighbours: dict[str, Neighbours] = {}
    vectors: dict[str, Vectors] = {}
    for path in manifest.resources:
        name = set_named(path, "neighbours")
        if name is not None:
            neighbours[name] = _decode(path, resources[path], decode_neighbours)
        name = set_named(path, "vectors")
        if name is not None:
            vectors[name] = _decode(path, resources[path], decode_vectors)
    sessions = _decode(SESSIONS, resources[SESSIONS], decode_sessions) if SESSIONS in manifest.resources else None
    return Learned(neighbours=neighbours, vectors=vectors, sessions=sessions)


def _templates(manifest: Manifest, resources: Mapping[str, bytes]) -> ReadyTemplates:
    """Compiled, all of them, so that no request finds one that does not compile."""
    told = _decode(TEMPLATES, resources[TEMPLATES], decode_templates) if TEMPLATES in manifest.resources else None
    if told is not None:
        check_templates(told)
    try:
        return ReadyTemplates(told)
    except TemplateRefused as refused:
        refuse(refused.code, TEMPLATES, refused.message, "$.templates")


def _decode(resource: str, data: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(data)
    except (ValueError, RecursionError) as error:
        malformed(resource, error)


def _model(entry: ModelEntry, features: CompiledFeatures, resources: Mapping[str, bytes]) -> LoadedModel:
    columns = tuple(features.column_of[name] for name in entry.features)
    return LoadedModel(
        entry=entry,
        onnx=resources[entry.resource],
        attribution=None if entry.attribution is None else resources[entry.attribution],
        features=columns,
        columns=None if entry.features == features.names else np.array(columns, np.intp),
    )
