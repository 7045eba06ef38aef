"""What a node accepts as a bundle. Pure rules: whatever breaks one is refused by `BundleRefused` and nothing else.

`read_manifest` decodes, `accept` judges the manifest before anything is fetched, `check_contents` judges how the
resources hold together. A code is one of: `malformed`, `blank`, `invalid`, `wrong_site`, `version_falls`, `protocol`,
`expired`, `missing_resource`, `unsafe_path`, `too_large`, `digest_mismatch`, `dangling` (a name that names nothing),
`unknown_rule`, `template`, `golden_mismatch`. A message ends with the file and the `$.path` of what is wrong.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec
import numpy as np

from edgewise.admission.check_features import check_features
from edgewise.admission.check_policy import check_policy
from edgewise.admission.check_promotions import check_promotions
from edgewise.admission.check_representations import check_representations
from edgewise.admission.check_schedules import check_schedules
from edgewise.admission.check_scores import check_scores
from edgewise.admission.check_variants import check_variants
from edgewise.attributes import texts_of
from edgewise.bundle.catalogue import Catalogue
from edgewise.bundle.golden import Golden, GoldenRows, unpack
from edgewise.bundle.learned import Learned, neighbours_path, vectors_path
from edgewise.bundle.manifest import (
    CATALOGUE,
    FEATURES,
    GOLDEN,
    MANIFEST,
    POLICY,
    PROTOCOL_VERSION,
    SESSIONS,
    Manifest,
    ModelEntry,
    decode_manifest,
)
from edgewise.bundle.policy import Policy
from edgewise.bundle.refusal import malformed, refuse, require
from edgewise.events import DIMENSIONS
from edgewise.features.table import FeatureTable
from edgewise.ids import BundleVersion, SiteName

REQUIRED: Final = (POLICY, FEATURES, CATALOGUE, GOLDEN)
MODELS_FOLDER: Final = "models/"
MOST_CLASSES: Final = 1_024
LOUDEST: Final = 1e30
"""Largest neighbour weight: the sum over the longest history must stay a finite float32."""

_SAFE_PATH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


class Limits(msgspec.Struct, frozen=True):
    """How large a bundle may be."""

    manifest_bytes: int = 1 << 20
    resource_bytes: int = 256 << 20
    total_bytes: int = 512 << 20
    resources: int = 256
    items: int = 1_000_000
    features: int = 1_024
    values_per_dimension: int = 64
    """Categories (brands, topics) of one item."""


LIMITS: Final[Limits] = Limits()


def read_manifest(data: bytes, limits: Limits = LIMITS) -> tuple[Manifest, str]:
    """A manifest and its SHA-256, which names the bundle. Raises BundleRefused."""
    most = limits.manifest_bytes
    require(len(data) <= most, "too_large", MANIFEST, f"{len(data)} bytes, at most {most} are read", "$")
    try:
        return decode_manifest(data), hashlib.sha256(data).hexdigest()
    except (ValueError, RecursionError) as error:
        malformed(MANIFEST, error)


def accept(
    manifest: Manifest,
    *,
    site: SiteName,
    current_version: BundleVersion | None,
    protocol_version: int = PROTOCOL_VERSION,
    now_ms: int,
    limits: Limits = LIMITS,
) -> None:
    """Whether a node of `site` may install this bundle. Raises BundleRefused.

    `current_version`: the version that must not be fallen below; None where nothing is installed, or where a signed
    assignment asks for an older release.
    """
    check_manifest(manifest, limits)
    message = f"a bundle of site {manifest.site!r}, this node belongs to {site!r}"
    require(manifest.site == site, "wrong_site", MANIFEST, message, "$.site")
    message = f"version {manifest.version} is older than {current_version}, which is installed"
    falls = current_version is not None and manifest.version < current_version
    require(not falls, "version_falls", MANIFEST, message, "$.version")
    message = f"protocol version {manifest.protocol_version}, this node speaks 1 to {protocol_version}"
    is_spoken = 1 <= manifest.protocol_version <= protocol_version
    require(is_spoken, "protocol", MANIFEST, message, "$.protocol_version")
    message = f"expired at {manifest.expires_ms} ms, it is {now_ms} ms"
    require(now_ms < manifest.expires_ms, "expired", MANIFEST, message, "$.expires_ms")


def check_manifest(manifest: Manifest, limits: Limits = LIMITS) -> None:
    """Whether a manifest is complete in itself. Raises BundleRefused."""
    require(bool(manifest.site), "blank", MANIFEST, "the site has no name", "$.site")
    version, parent = manifest.version, manifest.parent
    require(version >= 0, "invalid", MANIFEST, f"version {version}; versions start at 0", "$.version")
    message = f"parent {parent} of version {version}; a parent is an earlier version"
    require(parent is None or 0 <= parent < version, "invalid", MANIFEST, message, "$.parent")
    message = f"made at {manifest.created_ms} ms, expires at {manifest.expires_ms} ms; expected 0 <= made < expires"
    require(0 <= manifest.created_ms < manifest.expires_ms, "invalid", MANIFEST, message, "$.expires_ms")
    _check_resources(manifest, limits)
    for name, entry in manifest.models.items():
        require(bool(name), "blank", MANIFEST, "a model has no name", "$.models")
        _check_model(manifest, entry, f"$.models.{name}")


def check_contents(
    manifest: Manifest,
    *,
    policy: Policy,
    table: FeatureTable,
    catalogue: Catalogue,
    learned: Learned,
    golden: Golden,
    limits: Limits = LIMITS,
) -> None:
    """Whether the resources hold together: every name that one uses is there in the other. Raises BundleRefused."""
    message = f"policy of site {policy.site.name!r} in a bundle of {manifest.site!r}"
    require(policy.site.name == manifest.site, "wrong_site", POLICY, message, "$.site.name")
    _check_catalogue(catalogue, limits)
    check_variants(catalogue, manifest.models)
    check_representations(catalogue)
    message = f"{len(table.features)} features, at most {limits.features} are taken"
    require(len(table.features) <= limits.features, "too_large", FEATURES, message, "$.features")
    optional = learned.resources
    check_features(table, optional=optional)
    for name, neighbours in learned.neighbours.items():
        loudest = float(np.abs(neighbours.weights).max(initial=0.0))
        message = f"a weight of {loudest:g}, at most {LOUDEST:g} is taken"
        require(loudest <= LOUDEST, "invalid", neighbours_path(name), message, "$.weights")
    check_schedules(policy, catalogue)
    check_promotions(policy, catalogue)
    items = {item.id for item in catalogue.items}
    for name, vectors in learned.vectors.items():
        message = f"vectors of {len(vectors.items)} items, at most {limits.items} are taken"
        require(len(vectors.items) <= limits.items, "too_large", vectors_path(name), message, "$.items")
    if learned.sessions is not None:
        message = f"sessions of {len(learned.sessions.items)} items, at most {limits.items} are taken"
        require(len(learned.sessions.items) <= limits.items, "too_large", SESSIONS, message, "$.items")
    columns = {feature.name for feature in table.features}
    check_policy(policy, items=items, models=manifest.models, features=columns, optional=optional)
    _check_golden(manifest, table, golden)
    check_scores(manifest.models, table)


def _check_resources(manifest: Manifest, limits: Limits) -> None:
    for name in REQUIRED:
        is_there = name in manifest.resources
        require(is_there, "missing_resource", MANIFEST, f"a bundle needs {name}", f"$.resources.{name}")
    message = f"{len(manifest.resources)} resources, at most {limits.resources} are taken"
    require(len(manifest.resources) <= limits.resources, "too_large", MANIFEST, message, "$.resources")
    for name, resource in manifest.resources.items():
        is_safe = _SAFE_PATH.fullmatch(name) is not None and name != MANIFEST
        require(is_safe, "unsafe_path", MANIFEST, f"{name!r} is not a plain relative path", "$.resources")
        message = f"{resource.bytes} bytes, at most {limits.resource_bytes} are taken"
        path = f"$.resources.{name}.bytes"
        require(resource.bytes <= limits.resource_bytes, "too_large", MANIFEST, message, path)
    total_bytes = sum(resource.bytes for resource in manifest.resources.values())
    message = f"{total_bytes} bytes in all, at most {limits.total_bytes} are taken"
    require(total_bytes <= limits.total_bytes, "too_large", MANIFEST, message, "$.resources")


def _check_model(manifest: Manifest, entry: ModelEntry, path: str) -> None:
    for field, resource in (("resource", entry.resource), ("attribution", entry.attribution)):
        if resource is not None:
            is_there, at = resource in manifest.resources, f"{path}.{field}"
            require(is_there, "dangling", MANIFEST, f"{resource!r} is not a resource of the bundle", at)
            is_model = resource.startswith(MODELS_FOLDER)
            require(is_model, "invalid", MANIFEST, f"{resource!r} lies outside {MODELS_FOLDER}", at)
    _check_kind(entry, path)
    features = entry.features
    require(len(features) > 0, "blank", MANIFEST, "a model that takes no feature", f"{path}.features")
    is_unique = len(set(features)) == len(features)
    require(is_unique, "invalid", MANIFEST, "a model that takes a feature twice", f"{path}.features")


def _check_kind(entry: ModelEntry, path: str) -> None:
    classes, at = entry.classes, f"{path}.classes"
    of_score = entry.kind == "score" or not classes
    require(of_score, "invalid", MANIFEST, "a ranker with classes; it says one number a candidate", at)
    require(len(classes) != 1, "invalid", MANIFEST, "one class; a score has none, or two and more", at)
    require(len(classes) <= MOST_CLASSES, "too_large", MANIFEST, f"{len(classes)} classes", at)
    require(all(classes), "blank", MANIFEST, "a class has no name", at)
    of_ranker = entry.kind == "ranker" or not entry.uncertain
    require(of_ranker, "invalid", MANIFEST, "a score with a standard error; only rankers say one", f"{path}.uncertain")
    require(len(set(classes)) == len(classes), "invalid", MANIFEST, "a class is listed twice", at)


def _check_catalogue(catalogue: Catalogue, limits: Limits) -> None:
    message = f"{len(catalogue.items)} items, at most {limits.items} are taken"
    require(len(catalogue.items) <= limits.items, "too_large", CATALOGUE, message, "$.items")
    known: set[str] = set()
    for position, item in enumerate(catalogue.items):
        path = f"$.items[{position}]"
        if not item.id:
            refuse("blank", CATALOGUE, "an item has no id", f"{path}.id")
        if item.id in known:
            refuse("invalid", CATALOGUE, f"item {item.id!r} is listed twice", f"{path}.id")
        known.add(item.id)
        for dimension in DIMENSIONS:
            values = texts_of(item.attributes.get(dimension))
            if len(values) > limits.values_per_dimension:
                message = f"{len(values)} values, at most {limits.values_per_dimension} are taken"
                refuse("too_large", CATALOGUE, message, f"{path}.attributes.{dimension}")
        if item.starts_ms is not None and item.ends_ms is not None and item.ends_ms <= item.starts_ms:
            message = f"item {item.id!r} ends at {item.ends_ms} ms, but starts at {item.starts_ms} ms"
            refuse("invalid", CATALOGUE, message, f"{path}.ends_ms")


def _check_golden(manifest: Manifest, table: FeatureTable, golden: Golden) -> None:
    declared = {feature.name for feature in table.features}
    for name, entry in manifest.models.items():
        for position, feature in enumerate(entry.features):
            message = f"model {name!r} takes {feature!r}, which {FEATURES} does not declare"
            at = f"$.models.{name}.features[{position}]"
            require(feature in declared, "dangling", MANIFEST, message, at)
        rows = golden.models.get(name)
        if rows is None:
            refuse("golden_mismatch", GOLDEN, f"no golden row for model {name!r}", "$.models")
        _check_golden_rows(rows, entry, f"$.models.{name}")
    for name in golden.models:
        message = f"golden rows for model {name!r}, which is not there"
        require(name in manifest.models, "dangling", GOLDEN, message, "$.models")


def _check_golden_rows(rows: GoldenRows, entry: ModelEntry, path: str) -> None:
    features = len(entry.features)
    require(rows.rows > 0, "golden_mismatch", GOLDEN, f"{rows.rows} golden rows", f"{path}.rows")
    message = f"golden rows of {rows.features} features; the model takes {features}"
    require(rows.features == features, "golden_mismatch", GOLDEN, message, f"{path}.features")
    message = f"golden scores of {rows.outputs} columns; the model has {entry.outputs}"
    require(rows.outputs == entry.outputs, "golden_mismatch", GOLDEN, message, f"{path}.outputs")
    try:
        _, scores = unpack(rows)
    except ValueError as error:
        refuse("golden_mismatch", GOLDEN, str(error), path)
    is_finite = bool(np.isfinite(scores).all())
    require(is_finite, "golden_mismatch", GOLDEN, "a golden score is not finite", f"{path}.scores")
