"""A bundle from a site and its models: the same input gives the same bytes, and an edge's own rules accept it.

Nothing is signed that `check_bundle` has not seen: it loads the bundle with the edge's loader and lets the edge's
scorer, in a child process, repeat the trained models' golden rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from edgewise.admission.acceptance import accept
from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.catalogue import encode_catalogue
from edgewise.bundle.golden import Golden, encode_golden
from edgewise.bundle.learned import UNNAMED, neighbours_path, vectors_path
from edgewise.bundle.manifest import (
    CATALOGUE,
    FEATURES,
    GOLDEN,
    NEIGHBOURS,
    POLICY,
    SESSIONS,
    TEMPLATES,
    VECTORS,
    Manifest,
    ModelEntry,
    Resource,
    decode_manifest,
    encode_manifest,
)
from edgewise.bundle.needed import protocol_needed
from edgewise.bundle.policy import ByNeighbours, BySessions, ByVectors, Retrieval, encode_policy
from edgewise.bundle.templates import Templates, encode_templates, is_approved_template
from edgewise.errors import ModelRefused
from edgewise.features.table import Feature, NeighbourMax, NeighbourScore, SessionScore, encode_features
from edgewise.ids import BundleVersion, ModelName
from edgewise.ranking import ranker_of
from hub.artefacts import Artefacts, check_attribution, check_golden
from hub.content_vectors import vectors_of
from hub.item_statistics import joined_statistics, with_statistics
from hub.scoring_child import ScoringChild
from hub.site.loading import SiteContents

DAY_MS: Final = 86_400_000
LIFE_MS: Final = 365 * DAY_MS
"""For how long what a person approved may be installed."""


class BuiltBundle(NamedTuple):
    """A bundle's bytes, not yet approved by anybody."""

    manifest_bytes: bytes
    resources: dict[str, bytes]

    @property
    def digest(self) -> str:
        """Names the bundle."""
        return hashlib.sha256(self.manifest_bytes).hexdigest()

    @property
    def manifest(self) -> Manifest:
        """Decoded."""
        return decode_manifest(self.manifest_bytes)


def build_resources(
    contents: SiteContents, models: Mapping[ModelName, Artefacts]
) -> tuple[dict[str, bytes], dict[ModelName, ModelEntry]]:
    """The resources of a site's bundle and the entries of its models; a pure function.

    `models` has the artefacts of every model that the site names.

    Raises:
        ModelRefused: `features`: a model was trained on a column that the site declares otherwise or not at all;
            `artefacts`: a model ranks but has no scores; `neighbours`: they are missing, or models disagree;
            `statistics`: models disagree about an item attribute that they compute.
    """
    statistics = joined_statistics(models[name].statistics for name in sorted(contents.models))
    resources = {
        POLICY: encode_policy(contents.policy),
        FEATURES: encode_features(contents.features),
        CATALOGUE: encode_catalogue(with_statistics(contents.catalogue, statistics)),
    }
    templates = {name: known for name, known in contents.templates.templates.items() if is_approved_template(known)}
    if templates:
        resources[TEMPLATES] = encode_templates(Templates(templates))
    entries: dict[ModelName, ModelEntry] = {}
    golden = {}
    declared = {feature.name: feature for feature in contents.features.features}
    for name in sorted(contents.models):
        artefacts = models[name]
        if artefacts.model is None:
            continue
        for feature in artefacts.features.features:
            check_meaning(name, feature, declared.get(feature.name))
        entries[name] = entry = entry_of(name, artefacts)
        resources[entry.resource] = artefacts.model
        if entry.attribution is not None and artefacts.attribution is not None:
            resources[entry.attribution] = artefacts.attribution
        if artefacts.golden is not None:
            golden[name] = artefacts.golden
    resources[GOLDEN] = encode_golden(Golden(golden))
    learned = learned_of(models)
    resources |= learned
    vectors = vectors_of(contents.policy, contents.features, contents.catalogue, contents.vectors)
    if vectors is not None:
        resources[VECTORS] = vectors
    _nothing_missing(contents, entries, learned)
    return resources, entries


def build_bundle(
    contents: SiteContents,
    models: Mapping[ModelName, Artefacts],
    *,
    version: BundleVersion,
    parent: BundleVersion | None,
    created_ms: int,
    expires_ms: int | None = None,
    provenance: Mapping[str, str] | None = None,
) -> BuiltBundle:
    """The bundle of a site; raises as `build_resources`."""
    resources, entries = build_resources(contents, models)
    manifest = Manifest(
        version=version,
        parent=parent,
        site=contents.policy.site.name,
        created_ms=created_ms,
        expires_ms=created_ms + LIFE_MS if expires_ms is None else expires_ms,
        protocol_version=protocol_needed(contents.policy),
        resources={
            name: Resource(hashlib.sha256(data).hexdigest(), len(data)) for name, data in sorted(resources.items())
        },
        models=entries,
        provenance=dict(provenance or {}),
    )
    return BuiltBundle(encode_manifest(manifest), resources)


def check_bundle(built: BuiltBundle, *, now_ms: int, child: ScoringChild | None = None) -> dict[ModelName, float]:
    """Judge a bundle as an edge will; returns the largest scaled error on each model's golden rows.

    Raises:
        BundleRefused: the edge's loader or acceptance rules refuse it.
        ModelRefused: the gate refuses a model, or its golden rows come out otherwise.
    """
    bundle = load_bundle(built.manifest, built.digest, built.resources)
    accept(
        built.manifest,
        site=built.manifest.site,
        current_version=None,
        now_ms=now_ms,
    )
    if child is not None:
        return _golden_errors(bundle, child)
    with ScoringChild() as own:
        return _golden_errors(bundle, own)


def _golden_errors(bundle: Bundle, child: ScoringChild) -> dict[ModelName, float]:
    errors = {}
    for name, model in bundle.models.items():
        width = len(model.entry.features)
        rows = bundle.golden.models[name]
        errors[name] = check_golden(model.onnx, rows, width, child)
        if model.attribution is not None:
            check_attribution(model.attribution, rows, child)
    return errors


def entry_of(name: ModelName, artefacts: Artefacts) -> ModelEntry:
    """How a manifest tells of a model that has scores."""
    kind = artefacts.kind
    return ModelEntry(
        resource=f"models/{name}.onnx",
        features=tuple(feature.name for feature in artefacts.features.features),
        attribution=None if artefacts.attribution is None else f"models/{name}.attribution.onnx",
        kind=kind.kind,
        classes=kind.classes,
        uncertain=kind.uncertain,
    )


def check_meaning(model: ModelName, trained: Feature, now: Feature | None) -> None:
    """A column must mean at serving what it meant at training; its sentence is for people and may change.

    Raises ModelRefused `features`.
    """
    if now is None:
        cure = "declare it under features/, or train again without it"
        raise ModelRefused(
            "features", f"the model {model} was trained on {trained.name!r}, which the site lacks; {cure}"
        )
    if msgspec.structs.replace(trained, sentence="") != msgspec.structs.replace(now, sentence=""):
        raise ModelRefused(
            "features",
            f"the model {model} was trained on {trained}, but the site now declares {now}; "
            f"change it back, or train again",
        )


def learned_of(models: Mapping[ModelName, Artefacts]) -> dict[str, bytes]:
    """What the models bring about items, by its path in the bundle; each of it comes from one model."""
    found: dict[str, dict[bytes, ModelName]] = {}
    for name, artefacts in sorted(models.items()):
        brought = {
            NEIGHBOURS: artefacts.neighbours,
            SESSIONS: artefacts.sessions,
            **{neighbours_path(key): data for key, data in artefacts.sets.neighbours.items()},
            **{vectors_path(key): data for key, data in artefacts.sets.vectors.items()},
        }
        for path, data in brought.items():
            if data:
                found.setdefault(path, {})[data] = name
    for path, variants in found.items():
        if len(variants) > 1:
            names = ", ".join(sorted(variants.values()))
            message = (
                f"the models {names} bring different {path}; a bundle holds one, so give others a name under `sets`"
            )
            raise ModelRefused("neighbours", message)
    return {path: next(iter(variants)) for path, variants in found.items()}


def _nothing_missing(
    contents: SiteContents, entries: Mapping[ModelName, ModelEntry], learned: Mapping[str, bytes]
) -> None:
    asking: dict[str, list[str]] = {}
    for feature in contents.features.features:
        asking.setdefault(_needed(feature), []).append(feature.name)
    for name, placement in contents.policy.placements.items():
        for arm_name, arm in placement.arms.items():
            model = ranker_of(arm.ranking)
            if model is not None and model not in entries:
                raise ModelRefused("artefacts", f"{name}, arm {arm_name}, ranks by {model}, which has no scores")
            asking.setdefault(_needed(arm.retrieval), []).append(f"{name}.{arm_name}")
    for path, who in asking.items():
        if path and path not in learned:
            raise ModelRefused(
                "neighbours",
                f"{', '.join(who)} ask for {path.removesuffix('.msgpack')}, but no model of the site brings any",
            )


def _needed(asking: Feature | Retrieval) -> str:
    """Which resource that models bring a feature or a retrieval cannot do without; blank: none."""
    match asking:
        case NeighbourScore(source=source) | NeighbourMax(source=source) | ByNeighbours(source=source):
            return neighbours_path(source)
        case SessionScore() | BySessions():
            return SESSIONS
        case ByVectors(source=source) if source != UNNAMED:
            return vectors_path(source)
        case _:
            return ""
