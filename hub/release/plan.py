"""What a site would change for visitors, against the release that serves."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from edgewise.bundle.catalogue import decode_catalogue
from edgewise.bundle.manifest import CATALOGUE, FEATURES, POLICY, TEMPLATES
from edgewise.ids import BundleVersion, ItemId
from hub.release.repository import Release
from hub.site.difference import Change, differences


class Plan(msgspec.Struct, frozen=True):
    """What a person is asked to approve."""

    live: BundleVersion | None
    """The release that it was compared with; None: nothing serves yet."""
    changes: list[Change]
    waiting: tuple[ItemId, ...]
    """Items that nobody has approved: they stay out of every answer."""
    damage: str = ""
    """Why the release that serves cannot be compared with, if it cannot; `live` is None then."""


def plan(live: Release | None, resources: dict[str, bytes], waiting: tuple[ItemId, ...], damage: str = "") -> Plan:
    """Compare a built bundle with the one that serves."""
    after = readable(resources)
    before = {key: {} for key in after} if live is None else readable(live.resources)
    return Plan(
        live=None if live is None else live.manifest.version,
        changes=list(differences(before, after)),
        waiting=waiting,
        damage=damage,
    )


def readable(resources: dict[str, bytes]) -> dict[str, Any]:
    """A bundle as one tree whose paths a person recognises; big resources by their digests."""
    policy: dict[str, Any] = msgspec.json.decode(resources[POLICY])
    features: list[dict[str, Any]] = msgspec.json.decode(resources[FEATURES])["features"]
    items = {item.id: msgspec.to_builtins(item) for item in decode_catalogue(resources[CATALOGUE]).items}
    for item in items.values():
        item.pop("id")
    zones = policy["site"].get("zones", {})
    policy["site"]["zones"] = {name: _digest(msgspec.json.encode(zone)) for name, zone in zones.items()}
    return {
        **policy,
        "features": {feature.pop("name"): feature for feature in features},
        "items": items,
        **_templates(resources),
        "resources": {
            name: _digest(data)
            for name, data in resources.items()
            if name not in {POLICY, FEATURES, CATALOGUE, TEMPLATES}
        },
    }


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _templates(resources: dict[str, bytes]) -> dict[str, Any]:
    """Declarations as they are, sources by their lines: each line of them that changes is a change."""
    if TEMPLATES not in resources:
        return {}
    templates: dict[str, Any] = msgspec.json.decode(resources[TEMPLATES])
    for template in templates["templates"].values():
        for sources in template["sources"].values():
            for locale, source in list(sources.items()):
                sources[locale or "everybody"] = {
                    str(number): line for number, line in enumerate(source.split("\n"), 1)
                }
            sources.pop("", None)
    return templates
