"""What a node accepts as a bundle. Pure rules: whatever breaks one is refused by `BundleRefused` and nothing else.

`read_manifest` decodes, `accept` judges the manifest before anything is fetched, `check_contents` judges how the
resources hold together. A code is one of: `malformed`, `blank`, `invalid`, `wrong_site`, `version_falls`, `protocol`,
`expired`, `missing_resource`, `unsafe_path`, `too_large`, `digest_mismatch`, `dangling` (a name that names nothing),
`unknown_rule`, `golden_mismatch`. A message ends with the file and the `$.path` of what is wrong.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final, NoReturn

import msgspec
import numpy as np

from edgewise.bundle import policy as rules_of
from edgewise.bundle.catalogue import Catalogue
from edgewise.bundle.golden import Golden, unpack
from edgewise.bundle.manifest import (
    CATALOGUE,
    FEATURES,
    GOLDEN,
    MANIFEST,
    NEIGHBOURS,
    POLICY,
    PROTOCOL_VERSION,
    Manifest,
    decode_manifest,
)
from edgewise.bundle.neighbours import Neighbours
from edgewise.bundle.policy import Policy
from edgewise.errors import BundleRefused
from edgewise.events import DIMENSIONS, Kind
from edgewise.features import table as declared
from edgewise.features.table import FeatureTable
from edgewise.features.values import is_context_field, texts_of
from edgewise.ids import BundleVersion, SiteName
from edgewise.rules import OPERATORS, is_path, reference

REQUIRED: Final = (POLICY, FEATURES, CATALOGUE, GOLDEN)
MODELS_FOLDER: Final = "models/"
MOST_RULE_DEPTH: Final = 32
LOUDEST: Final = 1e30
"""Largest neighbour weight: the sum over the longest history must stay a finite float32."""

_SAFE_PATH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_WEIGHTS_TOLERANCE: Final = 0.01


class Limits(msgspec.Struct, frozen=True):
    """How large a bundle may be. Sizes are in bytes."""

    manifest_bytes: int = 1 << 20
    resource_bytes: int = 256 << 20
    total_bytes: int = 512 << 20
    resources: int = 256
    items: int = 500_000
    features: int = 1_024
    values_per_dimension: int = 64
    """Categories (brands, topics) of one item."""


LIMITS: Final = Limits()


def read_manifest(data: bytes, limits: Limits = LIMITS) -> tuple[Manifest, str]:
    """A manifest and its SHA-256, which names the bundle. Raises BundleRefused."""
    if len(data) > limits.manifest_bytes:
        refuse("too_large", MANIFEST, f"{len(data)} bytes, at most {limits.manifest_bytes} are read", "$")
    try:
        return decode_manifest(data), hashlib.sha256(data).hexdigest()
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
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
    if manifest.site != site:
        refuse("wrong_site", MANIFEST, f"a bundle of site {manifest.site!r}, this node belongs to {site!r}", "$.site")
    if current_version is not None and manifest.version < current_version:
        message = f"version {manifest.version} is older than {current_version}, which is installed"
        refuse("version_falls", MANIFEST, message, "$.version")
    if manifest.protocol_version != protocol_version:
        message = f"protocol version {manifest.protocol_version}, this node speaks {protocol_version}"
        refuse("protocol", MANIFEST, message, "$.protocol_version")
    if manifest.expires_ms <= now_ms:
        refuse("expired", MANIFEST, f"expired at {manifest.expires_ms} ms, it is {now_ms} ms", "$.expires_ms")


def check_manifest(manifest: Manifest, limits: Limits = LIMITS) -> None:
    """Whether a manifest is complete in itself. Raises BundleRefused."""
    if not manifest.site:
        refuse("blank", MANIFEST, "the site has no name", "$.site")
    if manifest.version < 0:
        refuse("invalid", MANIFEST, f"version {manifest.version}; versions start at 0", "$.version")
    if manifest.parent is not None and not 0 <= manifest.parent < manifest.version:
        message = f"parent {manifest.parent} of version {manifest.version}; a parent is an earlier version"
        refuse("invalid", MANIFEST, message, "$.parent")
    if not 0 <= manifest.created_ms < manifest.expires_ms:
        message = f"made at {manifest.created_ms} ms, expires at {manifest.expires_ms} ms; expected 0 <= made < expires"
        refuse("invalid", MANIFEST, message, "$.expires_ms")
    _check_resources(manifest, limits)
    for name, entry in manifest.models.items():
        path = f"$.models.{name}"
        if not name:
            refuse("blank", MANIFEST, "a model has no name", "$.models")
        for field, resource in (("resource", entry.resource), ("attribution", entry.attribution)):
            if resource is not None and resource not in manifest.resources:
                refuse("dangling", MANIFEST, f"{resource!r} is not a resource of the bundle", f"{path}.{field}")
            if resource is not None and not resource.startswith(MODELS_FOLDER):
                refuse("invalid", MANIFEST, f"{resource!r} lies outside {MODELS_FOLDER}", f"{path}.{field}")
        if not entry.features:
            refuse("blank", MANIFEST, f"model {name!r} takes no feature", f"{path}.features")
        if len(set(entry.features)) != len(entry.features):
            refuse("invalid", MANIFEST, f"model {name!r} takes a feature twice", f"{path}.features")


def check_contents(
    manifest: Manifest,
    policy: Policy,
    table: FeatureTable,
    catalogue: Catalogue,
    neighbours: Neighbours | None,
    golden: Golden,
    limits: Limits = LIMITS,
) -> None:
    """Whether the resources hold together: every name that one uses is there in the other. Raises BundleRefused."""
    if policy.site.name != manifest.site:
        message = f"policy of site {policy.site.name!r} in a bundle of {manifest.site!r}"
        refuse("wrong_site", POLICY, message, "$.site.name")
    _check_catalogue(catalogue, limits)
    _check_features(table, limits, has_neighbours=neighbours is not None)
    if neighbours is not None and len(neighbours.weights) and float(np.abs(neighbours.weights).max()) > LOUDEST:
        refuse("invalid", NEIGHBOURS, f"a weight beyond {LOUDEST:g}", "$.weights")
    _check_policy(manifest, policy, {item.id for item in catalogue.items}, has_neighbours=neighbours is not None)
    _check_models(manifest, table, golden)


def refuse(code: str, resource: str, message: str, path: str) -> NoReturn:
    """Raises BundleRefused, naming the file and the place in it."""
    raise BundleRefused(code, f"{resource}: {message} - at `{path}`")


def malformed(resource: str, error: Exception) -> NoReturn:
    """Raises BundleRefused for what a codec or a constructor found wrong."""
    message = str(error) or type(error).__name__
    where = "" if "at `$" in message else " - at `$`"
    raise BundleRefused("malformed", f"{resource}: {message}{where}") from error


def _check_resources(manifest: Manifest, limits: Limits) -> None:
    for name in REQUIRED:
        if name not in manifest.resources:
            refuse("missing_resource", MANIFEST, f"a bundle needs {name}", f"$.resources.{name}")
    if len(manifest.resources) > limits.resources:
        message = f"{len(manifest.resources)} resources, at most {limits.resources} are taken"
        refuse("too_large", MANIFEST, message, "$.resources")
    for name, resource in manifest.resources.items():
        if not _SAFE_PATH.fullmatch(name) or name == MANIFEST:
            refuse("unsafe_path", MANIFEST, f"{name!r} is not a plain relative path", "$.resources")
        if resource.bytes > limits.resource_bytes:
            message = f"{resource.bytes} bytes, at most {limits.resource_bytes} are taken"
            refuse("too_large", MANIFEST, message, f"$.resources.{name}.bytes")
    total_bytes = sum(resource.bytes for resource in manifest.resources.values())
    if total_bytes > limits.total_bytes:
        message = f"{total_bytes} bytes in all, at most {limits.total_bytes} are taken"
        refuse("too_large", MANIFEST, message, "$.resources")


def _check_catalogue(catalogue: Catalogue, limits: Limits) -> None:
    if len(catalogue.items) > limits.items:
        message = f"{len(catalogue.items)} items, at most {limits.items} are taken"
        refuse("too_large", CATALOGUE, message, "$.items")
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
            message = f"item {item.id!r} ends at {item.ends_ms} ms, before it starts at {item.starts_ms} ms"
            refuse("invalid", CATALOGUE, message, f"{path}.ends_ms")


def _check_features(table: FeatureTable, limits: Limits, *, has_neighbours: bool) -> None:
    if len(table.features) > limits.features:
        message = f"{len(table.features)} features, at most {limits.features} are taken"
        refuse("too_large", FEATURES, message, "$.features")
    for position, feature in enumerate(table.features):
        path = f"$.features[{position}]"
        match feature:
            case declared.NeighbourScore() | declared.NeighbourMax():
                if not has_neighbours:
                    refuse("missing_resource", FEATURES, f"feature {feature.name!r} needs {NEIGHBOURS}", path)
            case declared.Affinity() | declared.AffinityMatch():
                if feature.dimension not in DIMENSIONS:
                    message = f"no dimension {feature.dimension!r}; a profile keeps {', '.join(DIMENSIONS)}"
                    refuse("dangling", FEATURES, message, f"{path}.dimension")
            case declared.WindowCount():
                if feature.kind not in list(Kind):
                    message = f"no kind of event {feature.kind!r}; there are {', '.join(Kind)}"
                    refuse("dangling", FEATURES, message, f"{path}.kind")
            case declared.ItemAttribute() | declared.ItemIs() | declared.ContextValue():
                if not feature.attribute:
                    refuse("blank", FEATURES, f"feature {feature.name!r} names no attribute", f"{path}.attribute")
            case declared.ContextIs():
                if not is_context_field(feature.field):
                    refuse("dangling", FEATURES, f"no context field {feature.field!r}", f"{path}.field")
            case declared.DaysSinceItem() | declared.DaysSinceVisit() | declared.HistoryLength():
                pass


def _check_policy(manifest: Manifest, policy: Policy, items: set[str], *, has_neighbours: bool) -> None:
    site = policy.site
    if not site.salt:
        refuse("blank", POLICY, "the site has no salt", "$.site.salt")
    for position, digest in enumerate(site.write_key_sha256):
        if not _SHA256.fullmatch(digest):
            refuse(
                "invalid", POLICY, "a write key's digest is not 64 hex digits", f"$.site.write_key_sha256[{position}]"
            )
    for position, origin in enumerate(site.origins):
        if not origin:
            refuse("blank", POLICY, "an origin is blank", f"$.site.origins[{position}]")
    for name, members in policy.collections.items():
        if not name:
            refuse("blank", POLICY, "a collection has no name", "$.collections")
        _check_items(members, items, f"$.collections.{name}")
    for key, experiment in policy.experiments.items():
        _check_experiment(key, experiment)
    for placement_name, placement in policy.placements.items():
        path = f"$.placements.{placement_name}"
        if not placement_name:
            refuse("blank", POLICY, "a placement has no name", "$.placements")
        if placement.collection not in policy.collections:
            refuse("dangling", POLICY, f"no collection {placement.collection!r}", f"{path}.collection")
        _check_items(placement.fallback, items, f"{path}.fallback")
        _check_arms(manifest, policy, placement, path, has_neighbours=has_neighbours)
        for position, rule in enumerate(placement.eligibility):
            _check_rule(rule, f"{path}.eligibility[{position}]", MOST_RULE_DEPTH)


def _check_items(members: Iterable[str], items: set[str], path: str) -> None:
    for position, member in enumerate(members):
        if member not in items:
            refuse("dangling", POLICY, f"no item {member!r} in the catalogue", f"{path}[{position}]")


def _check_experiment(key: str, experiment: rules_of.Experiment) -> None:
    path = f"$.experiments.{key}"
    if not key:
        refuse("blank", POLICY, "an experiment has no key", "$.experiments")
    if not experiment.seed:
        refuse("blank", POLICY, f"experiment {key!r} has no seed", f"{path}.seed")
    if len(set(experiment.arms)) != len(experiment.arms):
        refuse("invalid", POLICY, f"experiment {key!r} lists an arm twice", f"{path}.arms")
    if len(experiment.weights) != len(experiment.arms):
        message = f"{len(experiment.weights)} weights for {len(experiment.arms)} arms"
        refuse("invalid", POLICY, message, f"{path}.weights")
    if abs(sum(experiment.weights) - 1) > _WEIGHTS_TOLERANCE:
        refuse("invalid", POLICY, f"weights sum to {sum(experiment.weights):g}, not to 1", f"{path}.weights")


def _check_arms(
    manifest: Manifest, policy: Policy, placement: rules_of.Placement, path: str, *, has_neighbours: bool
) -> None:
    for field, arm_name in (("arm", placement.arm), ("opted_out_arm", placement.opted_out_arm)):
        if arm_name not in placement.arms:
            refuse("dangling", POLICY, f"no arm {arm_name!r}", f"{path}.{field}")
    opted_out = placement.arms[placement.opted_out_arm]
    if isinstance(opted_out.ranking, rules_of.ByModel) or isinstance(opted_out.retrieval, rules_of.ByNeighbours):
        message = f"arm {placement.opted_out_arm!r} looks at profiles; opted-out visitors are served by rule"
        refuse("invalid", POLICY, message, f"{path}.opted_out_arm")
    for name, arm in placement.arms.items():
        at = f"{path}.arms.{name}"
        if not name:
            refuse("blank", POLICY, "an arm has no name", f"{path}.arms")
        match arm.ranking:
            case rules_of.ByModel(model=model):
                if model not in manifest.models:
                    refuse("dangling", POLICY, f"no model {model!r} in the bundle", f"{at}.ranking.model")
            case rules_of.ByAttribute(attribute=attribute):
                if not attribute:
                    refuse("blank", POLICY, "a ranking names no attribute", f"{at}.ranking.attribute")
            case rules_of.ByPriority():
                pass
        if isinstance(arm.retrieval, rules_of.ByNeighbours):
            if not has_neighbours:
                refuse("missing_resource", POLICY, f"retrieval by neighbours needs {NEIGHBOURS}", f"{at}.retrieval")
            if not arm.retrieval.fill_attribute:
                refuse("blank", POLICY, "a retrieval names no attribute", f"{at}.retrieval.fill_attribute")
    if placement.experiment is not None:
        experiment = policy.experiments.get(placement.experiment)
        if experiment is None:
            refuse("dangling", POLICY, f"no experiment {placement.experiment!r}", f"{path}.experiment")
        for arm_name in experiment.arms:
            if arm_name not in placement.arms:
                message = f"experiment {placement.experiment!r} names arm {arm_name!r}, which is not there"
                refuse("dangling", POLICY, message, f"{path}.arms")


def _check_rule(rule: rules_of.Rule, path: str, depth: int) -> None:
    if depth == 0:
        refuse("too_large", POLICY, f"rules nest deeper than {MOST_RULE_DEPTH}", path)
    match rule:
        case rules_of.Every() | rules_of.Some():
            for position, part in enumerate(rule.rules):
                _check_rule(part, f"{path}.rules[{position}]", depth - 1)
        case rules_of.Not():
            _check_rule(rule.rule, f"{path}.rule", depth - 1)
        case rules_of.Compare():
            _check_compare(rule, path)


def _check_compare(rule: rules_of.Compare, path: str) -> None:
    if rule.op not in OPERATORS:
        refuse("unknown_rule", POLICY, f"no operator {rule.op!r}; there are {', '.join(OPERATORS)}", f"{path}.op")
    if not is_path(rule.of):
        refuse("unknown_rule", POLICY, f"no value {rule.of!r}", f"{path}.of")
    named = reference(rule.to)
    if named is not None and not is_path(named):
        refuse("unknown_rule", POLICY, f"no value {named!r}", f"{path}.to")
    if rule.op == "exists":
        if rule.to is not None and not isinstance(rule.to, bool):
            refuse("unknown_rule", POLICY, f"`exists` takes true or false, not {rule.to!r}", f"{path}.to")
    elif rule.to is None:
        refuse("unknown_rule", POLICY, f"`{rule.op}` compares with nothing", f"{path}.to")
    elif rule.op in {"in", "not_in"} and named is None and not isinstance(rule.to, list):
        refuse("unknown_rule", POLICY, f"`{rule.op}` takes a list, not {rule.to!r}", f"{path}.to")
    elif rule.op in {"lt", "le", "gt", "ge"} and isinstance(rule.to, (bool, list)):
        refuse("unknown_rule", POLICY, f"`{rule.op}` takes a number or text, not {rule.to!r}", f"{path}.to")


def _check_models(manifest: Manifest, table: FeatureTable, golden: Golden) -> None:
    names = {feature.name for feature in table.features}
    for name, entry in manifest.models.items():
        for position, feature in enumerate(entry.features):
            if feature not in names:
                message = f"model {name!r} takes {feature!r}, which {FEATURES} does not declare"
                refuse("dangling", MANIFEST, message, f"$.models.{name}.features[{position}]")
        rows = golden.models.get(name)
        if rows is None or rows.rows < 1:
            refuse("golden_mismatch", GOLDEN, f"no golden row for model {name!r}", f"$.models.{name}")
        if rows.features != len(entry.features):
            message = f"golden rows of {rows.features} features; model {name!r} takes {len(entry.features)}"
            refuse("golden_mismatch", GOLDEN, message, f"$.models.{name}.features")
        try:
            _, scores = unpack(rows)
        except ValueError as error:
            refuse("golden_mismatch", GOLDEN, str(error), f"$.models.{name}")
        if not bool(np.isfinite(scores).all()):
            refuse("golden_mismatch", GOLDEN, f"a golden score of model {name!r} is not finite", f"$.models.{name}")
    for name in golden.models:
        if name not in manifest.models:
            refuse("dangling", GOLDEN, f"golden rows for model {name!r}, which is not there", f"$.models.{name}")
