"""The fallback of each placement as a file of HTML, for proxies to put into pages that no edge node answers.

A fallback is decided by nobody, so that it needs no model and no release: the site's folder is enough. It is what a
node itself would answer with, had it been asked and failed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from edgewise.admission.load import Bundle, load_bundle
from edgewise.bundle.catalogue import encode_catalogue
from edgewise.bundle.golden import Golden, encode_golden
from edgewise.bundle.manifest import CATALOGUE, FEATURES, GOLDEN, POLICY, TEMPLATES, Manifest, Resource, encode_manifest
from edgewise.bundle.needed import FIRST
from edgewise.bundle.policy import Arm, ByPriority, Placement, Policy, encode_policy
from edgewise.bundle.templates import Templates, encode_templates, is_approved_template
from edgewise.errors import InputError
from edgewise.features.table import FeatureTable, encode_features
from edgewise.ids import ArmName, BundleVersion, PlacementName
from edgewise.rendering import render_fallback
from hub.site.loading import SiteContents

_ARM: Final = ArmName("fallback")


def rendered_fallbacks(contents: SiteContents, *, locale: str = "") -> dict[PlacementName, str]:
    """The fallback of every placement of a site as HTML, in the order of their names."""
    bundle = _bundle(contents)
    return {name: render_fallback(bundle, name, locale=locale) for name in sorted(contents.policy.placements)}


def write_fallbacks(contents: SiteContents, folder: Path, *, locale: str = "") -> list[Path]:
    """Write `NAME.html` for every placement; a proxy that reads meanwhile gets the old one or the new one whole.

    Raises:
        InputError: the folder cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, html in rendered_fallbacks(contents, locale=locale).items():
            path = folder / f"{name}.html"
            beside = folder / f".{name}.html.new"
            beside.write_text(html, encoding="utf-8")
            beside.chmod(0o644)  # a proxy reads it as somebody else
            beside.replace(path)
            written.append(path)
    except OSError as failed:
        raise InputError(f"--out {folder}: {failed.strerror}: {failed.filename}") from failed
    return written


def _bundle(contents: SiteContents) -> Bundle:
    """What remains of a site where nothing is decided."""
    policy = Policy(
        site=contents.policy.site,
        placements={name: _undecided(placement) for name, placement in contents.policy.placements.items()},
        collections=contents.policy.collections,
        promotions=contents.policy.promotions,
    )
    files = {
        POLICY: encode_policy(policy),
        CATALOGUE: encode_catalogue(contents.catalogue),
        FEATURES: encode_features(FeatureTable([])),
        GOLDEN: encode_golden(Golden({})),
    }
    templates = {name: known for name, known in contents.templates.templates.items() if is_approved_template(known)}
    if templates:
        files[TEMPLATES] = encode_templates(Templates(templates))
    manifest = Manifest(
        version=BundleVersion(0),
        parent=None,
        site=policy.site.name,
        created_ms=0,
        expires_ms=1,
        protocol_version=FIRST,
        resources={path: Resource(hashlib.sha256(data).hexdigest(), len(data)) for path, data in files.items()},
        models={},
        provenance={},
    )
    return load_bundle(manifest, hashlib.sha256(encode_manifest(manifest)).hexdigest(), files)


def _undecided(placement: Placement) -> Placement:
    return Placement(
        collection=placement.collection,
        arms={_ARM: Arm(ByPriority())},
        arm=_ARM,
        opted_out_arm=_ARM,
        fallback=placement.fallback,
        count=placement.count,
        format=placement.format,
        template=placement.template,
    )
