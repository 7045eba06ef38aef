"""The live release with one model exchanged: what a registered model would do if nothing else changed.

It is never signed and never leaves the hub. What a site would change beside the model needs a candidate of its own
(`edgewise site apply`), which can be asked in the same way.
"""

from __future__ import annotations

import hashlib

import msgspec

from edgewise.bundle.catalogue import decode_catalogue, encode_catalogue
from edgewise.bundle.golden import decode_golden, encode_golden
from edgewise.bundle.manifest import (
    CATALOGUE,
    FEATURES,
    GOLDEN,
    Resource,
    encode_manifest,
)
from edgewise.errors import InputError
from edgewise.features.table import decode_features
from edgewise.ids import ModelName
from hub.artefacts import Artefacts
from hub.item_statistics import with_statistics
from hub.release.bundle import BuiltBundle, check_meaning, entry_of, learned_of


def with_model(built: BuiltBundle, name: ModelName, artefacts: Artefacts) -> BuiltBundle:
    """The bundle with the model `name` and all that comes with it (neighbours, statistics, …) taken from `artefacts`.

    Raises:
        InputError: the bundle has no such model, or `artefacts` hold none.
        ModelRefused: `features`: it takes a column that the bundle declares otherwise or not at all.
    """
    manifest = built.manifest
    if name not in manifest.models or artefacts.model is None or artefacts.golden is None:
        known = ", ".join(sorted(manifest.models)) or "none"
        raise InputError(f"release {manifest.version} ranks by no model {name!r}; it has: {known}")
    resources = dict(built.resources)
    declared = {feature.name: feature for feature in decode_features(resources[FEATURES]).features}
    for feature in artefacts.features.features:
        check_meaning(name, feature, declared.get(feature.name))
    entry, before = entry_of(name, artefacts), manifest.models[name]
    if before.attribution is not None:
        del resources[before.attribution]
    if entry.attribution is not None and artefacts.attribution is not None:
        resources[entry.attribution] = artefacts.attribution
    resources[entry.resource] = artefacts.model
    golden = decode_golden(resources[GOLDEN])
    rows = golden.models | {name: artefacts.golden}
    resources[GOLDEN] = encode_golden(msgspec.structs.replace(golden, models=rows))
    catalogue = with_statistics(decode_catalogue(resources[CATALOGUE]), artefacts.statistics)
    resources[CATALOGUE] = encode_catalogue(catalogue)
    resources |= learned_of({name: artefacts})
    swapped = msgspec.structs.replace(
        manifest,
        models=manifest.models | {name: entry},
        resources={
            path: Resource(hashlib.sha256(data).hexdigest(), len(data)) for path, data in sorted(resources.items())
        },
    )
    return BuiltBundle(encode_manifest(swapped), resources)
